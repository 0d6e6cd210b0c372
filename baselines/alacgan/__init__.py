"""The reference model (arXiv:1808.03240): networks, losses, data, trainer, the authors' checkpoints."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from lacbench.errors import MissingError

if TYPE_CHECKING:
    from lacbench.baselines.alacgan.official import convert_official, load_official, save_official

if find_spec("torch") is None:
    raise MissingError("the reference model needs PyTorch; install it with: pip install 'lacbench[train]'")

__all__ = ["convert_official", "load_official", "save_official"]


def __getattr__(name: str) -> Any:
    """Import PyTorch only for who asks: the processes that prepare pictures do without."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lacbench.baselines.alacgan import official

    return getattr(official, name)
