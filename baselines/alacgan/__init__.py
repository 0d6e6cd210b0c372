"""The reference model (arXiv:1808.03240): networks, losses, data, trainer, colorize."""
