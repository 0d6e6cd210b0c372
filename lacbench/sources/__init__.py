"""One file per kind of place that pictures come from."""
