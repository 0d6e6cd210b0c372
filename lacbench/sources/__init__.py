"""One file per kind of place that pictures come from."""

from lacbench.recipe import SourceSpec
from lacbench.sources.base import Source
from lacbench.sources.folder import FolderSource
from lacbench.sources.packages import PackageSource

__all__ = ["Source", "open_source"]


def open_source(spec: SourceSpec) -> Source:
    """The source that a recipe's table describes."""
    return PackageSource(spec) if spec.kind == "packages" else FolderSource(spec)
