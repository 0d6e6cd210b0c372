"""What a recipe would ask of whom, in sentences; nobody is asked."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lacbench.curate import limits_for
from lacbench.errors import InputError
from lacbench.recipe import CONTACT, FilterSpec, Recipe
from lacbench.records import SETS
from lacbench.sources import Source

NO_CONTACT = f"set `contact` under `[collect]`, or {CONTACT} in the environment, to your mail address or page"
"""What to do where sites would not know whom to tell."""


@dataclass(frozen=True)
class Plan:
    """What a recipe would do."""

    lines: tuple[str, ...]
    """For people: what is wanted, what each source would be asked, and how; the mistakes in their places."""
    mistakes: tuple[str, ...]
    """What would end the build, as far as this machine alone tells."""


def plan(recipe: Recipe) -> Plan:
    """Look at a recipe without asking anybody."""
    wanted = [f"{_wanted(getattr(recipe.targets, name))} {name}" for name in SETS]
    lines = [f"{recipe.name}: {' and '.join(wanted)}, seed {recipe.seed}"]
    mistakes: list[str] = []
    for source in recipe.sources:
        at_most = f", at most {source.limit:,} of each set" if source.limit else ""
        lines.append(f"{source.name} ({source.kind}), for {' and '.join(source.sets())}{at_most}:")
        told, wrong = _look_at(source)
        lines += [f"  {sentence}" for sentence in (*wrong, *told)]
        mistakes += [f"source {source.name}: {mistake}" for mistake in wrong]
    missing_models = [m for c in recipe.filters.classifiers if (m := _missing("model", c.model))]
    offered = {name for source in recipe.sources for name in source.sets()}
    one_sided = [f"no source offers {name}; a data set needs both" for name in SETS if name not in offered]
    lines += ["filters:", *(f"  {line}" for line in (*missing_models, *_filters(recipe)))]
    if recipe.asks_sites:
        lines += _manners(recipe)
    return Plan((*lines, *one_sided), (*mistakes, *missing_models, *one_sided))


def _look_at(source: Source) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a source would do, and what is wrong with it: paths that lead nowhere, files that do not hold."""
    paths = {name: getattr(source, name) for name in source.local_paths}
    if missing := [m for name, path in paths.items() if path and (m := _missing(name, path))]:
        return (), tuple(missing)
    try:
        return source.plan(), ()
    except InputError as error:
        return (), (str(error),)


def _missing(name: str, path: Path) -> str:
    """What to say of a local path that is not there; nothing of others."""
    try:
        there = path.exists()
    except OSError:  # a folder that this user may not look into
        there = False
    return "" if there else f"MISSING: {name} {path} is not there"


def _filters(recipe: Recipe) -> Iterator[str]:
    """What is kept, where it is not as everywhere, and which ratings."""
    limits = recipe.filters
    for name, field in FilterSpec.model_fields.items():
        value = getattr(limits, name)
        if name not in ("ratings", "classifiers") and value != field.default:
            yield f"{name} = {_shown(value)}, by default {_shown(field.default)}"
    for told in limits.classifiers:
        yield f"classifier {told.name} keeps {told.set} {told.keep} {told.threshold:g}"
    yield (
        f"pictures rated {_shown(limits.ratings)}, and those without a rating"
        if limits.ratings
        else ("pictures of any rating")
    )
    for source in recipe.sources:
        ratings = limits_for(source, limits).ratings
        if ratings != limits.ratings:
            yield f"but of {source.name} those rated {_shown(ratings)}: its own `ratings` win"


def _shown(value: object) -> str:
    """A setting's value for people."""
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def _wanted(number: int | None) -> str:
    return "all" if number is None else f"{number:,}"


def _manners(recipe: Recipe) -> list[str]:
    """How sites are asked."""
    spec = recipe.collect
    known = f"every request says: lacbench, {spec.contact}" if spec.contact else f"NO CONTACT: {NO_CONTACT}"
    rate = spec.requests_per_second
    questions = f"{rate:g} question{'' if rate == 1 else 's'} a second to its API"
    lines = [
        "manners:",
        f"  {known}",
        f"  each host: {questions}, {spec.downloads_at_once} files at once, less when it asks for less",
        f"  {spec.attempts} attempts in all at each thing",
        f"  robots.txt of plain addresses is {'obeyed' if spec.robots else 'NOT read'}",
        "  files whose headers say noai are not taken",
    ]
    for host, told in spec.hosts.items():
        rate = told.requests_per_second or spec.requests_per_second
        lines.append(
            f"  {host}: {rate:g} questions a second, "
            f"{told.downloads_at_once or spec.downloads_at_once} files at once"
        )
    if spec.allow_hosts:
        lines.append(f"  private addresses are refused, but for {', '.join(spec.allow_hosts)}")
    return lines
