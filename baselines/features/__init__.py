"""Local features of one's own: Illustration2Vec's shape, trained on a data set (docs/local-features.md)."""
