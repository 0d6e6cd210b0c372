"""lacbench: anime line-art colorization as a benchmark, from scraped pixels to a p-value."""

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Benchmark", "LacFID", "__version__"]

if TYPE_CHECKING:
    from lacbench.benchmark import Benchmark
    from lacbench.metrics.module import LacFID
else:

    def __getattr__(name):
        """What is imported when it is first asked for: to import lacbench itself costs nothing."""
        homes = {"Benchmark": "lacbench.benchmark", "LacFID": "lacbench.metrics.module"}
        if name not in homes:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(homes[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
