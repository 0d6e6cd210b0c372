"""One file per question asked of a picture; each answers with a reason."""
