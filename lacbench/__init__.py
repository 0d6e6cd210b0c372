"""lacbench: anime line-art colorization as a benchmark, from scraped pixels to a p-value."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lacbench.benchmark import Benchmark
    from lacbench.metrics.module import LacFID

__version__ = "0.1.0"
__all__ = ["Benchmark", "LacFID", "__version__"]

_HOMES = {"Benchmark": "lacbench.benchmark", "LacFID": "lacbench.metrics.module"}


def __getattr__(name: str) -> object:
    """What is imported when it is first asked for: to import lacbench itself costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
