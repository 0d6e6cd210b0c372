"""Servers that tests and benchmarks download from, each in a process of its own."""
