"""Models that every other one is compared with."""
