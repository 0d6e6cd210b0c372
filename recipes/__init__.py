"""Recipes of data sets that ship with lacbench."""
