"""The reference model (arXiv:1808.03240): networks, losses, data, trainer, colorize."""

from importlib.util import find_spec

from lacbench.errors import MissingError

if find_spec("torch") is None:
    raise MissingError("the reference model needs PyTorch; install it with: pip install 'lacbench[train]'")

from lacbench.baselines.alacgan.official import convert_official, load_official, save_official

__all__ = ["convert_official", "load_official", "save_official"]
