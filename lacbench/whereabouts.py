"""Where the works of a published data set can be had: beside it, in a folder here, in packages, on sites."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from lacbench.errors import FetchError, InputError, LacbenchError, MissingError
from lacbench.published import Published
from lacbench.records import Candidate, Member, Verdict
from lacbench.sources import Source, Visit, open_kind
from lacbench.sources.booru import Booru
from lacbench.sources.fields import address
from lacbench.sources.folder import Folder
from lacbench.sources.packages import Packages
from lacbench.sources.webdataset import WebDataset

NOWHERE = Path()
UNKNOWN = "no folder, package or site that is known here has it"
"""What is told of a work that has no place."""


@dataclass
class Whereabouts:
    """What was found of each work."""

    found: list[Candidate] = field(default_factory=list)
    """Works with one place each: a local `path`, or a `url`."""
    gone: dict[str, Verdict] = field(default_factory=dict)
    """Why a work has none, by set and id."""
    apis: set[str] = field(default_factory=set)
    """Sources whose addresses are an image board's own, so that its robots.txt is not asked."""
    trouble: dict[str, str] = field(default_factory=dict)
    """Why a source could not be looked into."""


def whereabouts(published: Published, folders: Mapping[str, Path], visit: Visit) -> Whereabouts:
    """Look for each work where it is nearest. The recipe is a stranger's: none of its folders is read.

    Raises InputError for a folder of a source that the data set does not have, or one that holds no pictures.
    """
    groups: dict[str, list[Member]] = {}
    for member in published.works:
        groups.setdefault(member.record.candidate.source, []).append(member)
    if strange := sorted(folders.keys() - groups.keys()):
        raise InputError(
            f"no works come from a source {strange[0]}; expected one of {', '.join(sorted(groups))}"
        )
    tables, told = _tables(published.recipe), Whereabouts()
    for name, members in sorted(groups.items()):
        rest = _beside(published, members, told)
        table = tables.get(name, {})
        if rest and name in folders:
            rest = _placed(rest, _in_folder(name, table, folders[name], rest, visit), told)
        elif rest and table.get("kind") == "packages":
            rest = _in_packages(table, rest, visit, told)
        _on_sites(table, rest, told)
    return told


def work_id(candidate: Candidate, sha256: str) -> str:
    """What names a work in a data set."""
    return f"{candidate.set}/{sha256}"


def _tables(recipe: str) -> dict[str, dict[str, Any]]:
    """The recipe's tables by source; whatever else it has, and what does not hold, is passed over."""
    try:
        tables = tomllib.loads(recipe).get("sources", [])
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}
    tables = tables if isinstance(tables, list) else []
    return {t["name"]: t for t in tables if isinstance(t, dict) and isinstance(t.get("name"), str)}


def _beside(published: Published, members: Iterable[Member], told: Whereabouts) -> list[Member]:
    """The members whose picture was not passed on; of the others the place is noted."""
    pictures = published.index.pictures
    paths = {
        member.record.candidate.key: published.folder / member.record.path
        for member in members
        if member.record.path in pictures
    }
    return _placed(members, paths, told)


def _placed(members: Iterable[Member], paths: Mapping[str, Path], told: Whereabouts) -> list[Member]:
    """Note the places of those that have one, by key; returns the others."""
    rest = []
    for member in members:
        candidate = member.record.candidate
        if path := paths.get(candidate.key):
            told.found.append(replace(candidate, path=path, url="", md5=""))
        else:
            rest.append(member)
    return rest


def _in_folder(
    name: str, table: Mapping[str, Any], folder: Path, members: Iterable[Member], visit: Visit
) -> dict[str, Path]:
    """Paths by key of pictures in a folder of the caller's, which may be a dump's tree, or hold shards."""
    if table.get("kind") == "dump":
        size = "512px" if table.get("size") == "512px" else "original"
        keys = [key for m in members if (key := m.record.candidate.key).isdecimal() and key.isascii()]
        files = {key: (folder / size / f"{int(key) % 1000:04}").glob(f"{key}.*") for key in keys}
        return {key: file for key, found in files.items() if (file := next(iter(sorted(found)), None))}
    source: Source = Folder(name=name, kind="folder", folder=folder.absolute(), set="illustrations")
    if table.get("kind") == "webdataset":
        source = WebDataset(name=name, kind="webdataset", shards=folder.absolute(), set="illustrations")
    return {c.key: c.path for page in source.pages("", visit) for c in page.candidates}


def _in_packages(
    table: Mapping[str, Any], members: list[Member], visit: Visit, told: Whereabouts
) -> list[Member]:
    """Look into the packages that the members came from, of the same version where that is to be had."""
    try:
        source = Packages.model_validate(table)
    except ValidationError as error:
        told.trouble[table["name"]] = f"the recipe's table does not hold: {error.errors()[0]['msg']}"
        return members
    keys = [m.record.candidate.key for m in members]
    for names in source.packages:
        here = [n.strip() for n in names.split("|") if any(k.startswith(f"{n.strip()}/") for k in keys)]
        if not here:
            continue
        one = {"packages": tuple(here), "limit": None, "pairs": False}
        for versions in (source.versions, {}):
            wanted = source.model_copy(update={**one, "versions": versions})
            try:
                pages = list(wanted.pages("", visit))
            except (FetchError, MissingError, InputError) as error:
                told.trouble[source.name] = str(error)
                continue
            told.trouble.pop(source.name, None)
            paths = {c.key: c.path for page in pages for c in page.candidates}
            members = _placed(members, paths, told)
            break
    return members


def _on_sites(table: Mapping[str, Any], members: Iterable[Member], told: Whereabouts) -> None:
    """Note the addresses of members that have one; all others are gone."""
    hosts = set()
    for member in members:
        candidate = member.record.candidate
        if url := address(candidate.url):
            hosts.add(urlsplit(url).netloc)
            told.found.append(replace(candidate, url=url, path=NOWHERE))
            continue
        trouble = told.trouble.get(candidate.source)
        gone = Verdict(False, "failed", trouble) if trouble else Verdict(False, "missing", UNKNOWN)
        if candidate.url:
            gone = Verdict(False, "refused", "no http(s) address, or one with a user in it")
        told.gone[work_id(candidate, member.record.sha256)] = gone
    if hosts and all(_is_of_site(host, table) for host in hosts):
        told.apis.add(str(table["name"]))


def _is_of_site(host: str, table: Mapping[str, Any]) -> bool:
    """Whether a host belongs to the image board of a recipe's table: `cdn.…` and others of its domain."""
    try:
        kind = open_kind(str(table.get("kind")))
        site = kind.model_validate(table).host if issubclass(kind, Booru) else ""
    except (KeyError, ValidationError, LacbenchError):
        return False
    return bool(site) and (host == site or host.endswith(f".{'.'.join(site.split('.')[-2:])}"))
