"""Pairwise mode: which of two or three outputs was best; Bradley-Terry strengths, with a bootstrap."""
