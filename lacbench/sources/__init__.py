"""One file per kind of place that pictures come from."""

from importlib.metadata import entry_points

from lacbench.errors import RecipeError
from lacbench.sources.base import Page, Source, Visit
from lacbench.sources.danbooru import Danbooru
from lacbench.sources.dump import Dump
from lacbench.sources.folder import Folder
from lacbench.sources.gelbooru import Gelbooru
from lacbench.sources.moebooru import Moebooru
from lacbench.sources.packages import Packages
from lacbench.sources.urls import Urls
from lacbench.sources.webdataset import WebDataset

__all__ = ["Page", "Source", "Visit", "kinds", "open_kind"]

_OWN: dict[str, type[Source]] = {
    "danbooru": Danbooru,
    "dump": Dump,
    "folder": Folder,
    "gelbooru": Gelbooru,
    "moebooru": Moebooru,
    "packages": Packages,
    "urls": Urls,
    "webdataset": WebDataset,
}

GROUP = "lacbench.sources"
"""Entry points by which others add kinds of sources."""


def kinds() -> list[str]:
    """Names of all kinds, those of others included, without loading any of them."""
    return sorted({*_OWN, *(point.name for point in entry_points(group=GROUP))})


def open_kind(kind: str) -> type[Source]:
    """The class of one kind. Raises KeyError for an unknown one, RecipeError for one that does not load."""
    if kind in _OWN:
        return _OWN[kind]
    point = next((p for p in entry_points(group=GROUP) if p.name == kind), None)
    if point is None:
        raise KeyError(kind)
    try:
        loaded = point.load()
    except Exception as error:
        raise RecipeError(f"source kind {kind} ({point.value}) does not load: {error}; mend it") from error
    if not (isinstance(loaded, type) and issubclass(loaded, Source)):
        raise RecipeError(f"source kind {kind} ({point.value}) is no subclass of lacbench.sources.Source")
    return loaded
