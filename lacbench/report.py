"""`report.html`: one page that shows a data set, its pairs, what methods made of it, and their scores."""

import base64
import io
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from PIL import Image

import lacbench
from lacbench.card import members, rights
from lacbench.errors import ImageError, MissingError
from lacbench.files import write_text
from lacbench.hints import Hint, Hints
from lacbench.images import Array, read, resize_shortest
from lacbench.progress import Progress, Silent
from lacbench.reasons import REASONS
from lacbench.records import SETS, Dataset, LedgerEntry, Member, Pair
from lacbench.reproduce import demo_command, steps
from lacbench.scorecard import ScoreCard
from lacbench.tables import TITLES, Score, charts_of, groups_of, scores_of

if TYPE_CHECKING:
    from jinja2 import Template

ENOUGH = 2048
"""Pictures on each side below which an FID proves the line, not a ranking: one per Inception feature."""
PAPER = (
    ("PaintsChainer canna", 103.24, 0.18),
    ("PaintsChainer tanpopo", 85.38, 0.21),
    ("PaintsChainer satsuki", 81.91, 0.26),
    ("Ci et al. without adversarial loss", 70.90, 0.13),
    ("Ci et al. without local features", 60.73, 0.22),
    ("Ci et al.", 57.06, 0.16),
)
"""Method, FID and its spread as Ci et al. report them (2018, arXiv:1808.03240, Table 1)."""
SIDE = 176
"""Longest side of a picture on the page, in CSS pixels; stored at twice that."""
GLIMPSE = 96
"""Longest side of a dropped picture on the page, in CSS pixels; stored at twice that."""
TASTE = 128
"""Longest side of a picture in the page's head, in CSS pixels; stored at twice that."""
DROPPED = 8
"""Dropped pictures shown, at most, for each reason."""
DRAWN = 6
"""Illustrations shown with their line drawings."""


@dataclass(frozen=True)
class Picture:
    """A picture inside the page."""

    src: str
    """The whole file as a data: URI."""
    width: int
    """CSS pixels."""
    height: int
    """CSS pixels."""
    alt: str
    """What it shows, for those who cannot see it."""


@dataclass(frozen=True)
class Drop:
    """Dropped pictures that lost to the same keeper, or to none."""

    keeper: Picture | None
    """The picture kept instead, for duplicates and leaks."""
    dropped: tuple[tuple[Picture, str], ...]
    """The dropped ones, with the numbers behind the reason."""


@dataclass(frozen=True)
class Reason:
    """Everything that was dropped for one reason."""

    name: str
    """The ledger's word."""
    meaning: str
    """The same, for people."""
    count: int
    """Candidates dropped for it."""
    drops: tuple[Drop, ...]
    """Some of them."""
    notes: tuple[str, ...]
    """What the ledger says of some that have no picture to show."""


@dataclass(frozen=True)
class Row:
    """One line art and what became of it."""

    lineart: Picture
    """The line art."""
    dabs: tuple[Hint, ...]
    """Its colour hints."""
    outputs: tuple[Picture | None, ...]
    """Each method's output, in the order of the columns; None where it is missing."""
    truth: Picture | None
    """Its true coloured version."""


def write_report(
    path: Path,
    dataset: Dataset,
    pairs: Sequence[Pair],
    cards: Sequence[ScoreCard],
    *,
    hints: Hints | None = None,
    examples: int = 12,
    progress: Progress | None = None,
) -> Path:
    """Write one self-contained HTML page, atomically: the same input gives the same bytes.

    Args:
        path: the page's file.
        dataset: what was built; its pictures are read from its folder.
        pairs: line drawings of its illustrations, as `lacbench.pairs.load_pairs` gives them; may be empty.
        cards: one for each method; outputs are read from their `submission` folders, a missing one shows
            as such.
        hints: colour hints that the methods were given, drawn over the line arts.
        examples: line arts shown, half of them with their true colours where there are as many.
        progress: who listens.

    Returns:
        `path`.

    Raises:
        MissingError: Jinja is not installed.
        InputError: no cards, cards without figures or with broken ones, or of another data set.
        ImageError: a kept picture or an output cannot be read.
        OutputError: the page cannot be written.
    """
    template = _template()
    scores = scores_of(cards, dataset.digest)
    fids = [score.fid for score in scores if score.fid]
    page = template.render(
        name=dataset.name,
        dataset=dataset,
        taste=_taste(dataset),
        version=lacbench.__version__,
        counts=_counts(dataset),
        origins=_origins(dataset, path),
        reasons=_reasons(dataset),
        drawings=_drawings(dataset, pairs),
        sigmas=sorted({pair.sigma for pair in pairs}),
        sizes=sorted({pair.size for pair in pairs}),
        scores=scores,
        digests=[(score.card.name, list(_digests(score))) for score in scores],
        weights=_weights(scores),
        charts=charts_of(scores),
        groups=groups_of(scores),
        rows=list(_rows(dataset, [s.card for s in scores], hints, examples, progress or Silent())),
        hinted=hints is not None,
        true_pairs=sum(dataset.truth(m) is not None for m in dataset.linearts),
        fewest=min((n for fid in fids for n in _both(fid.n) if n is not None), default=ENOUGH),
        enough=ENOUGH,
        paper=PAPER,
        recipe=_without_folders(dataset.recipe),
        shortened=_without_folders(dataset.recipe) != dataset.recipe,
        demo=demo_command(dataset),
        steps=steps(dataset, pairs, [s.card for s in scores], hints),
    )
    write_text(path, page)
    return path


def _template() -> "Template":
    try:
        import jinja2
    except ImportError as error:
        raise MissingError("the report needs Jinja; run: pip install 'lacbench[report]'") from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lacbench"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.html.j2")


def _taste(dataset: Dataset) -> list[Picture]:
    """Four line arts and four illustrations in turn, by falling id: the sections show others."""
    linearts, illustrations = (
        _varied(getattr(dataset, name)[::-1], 4) for name in ("linearts", "illustrations")
    )
    turns = (m for turn in zip_longest(linearts, illustrations) for m in turn if m)
    return [
        _picture(dataset.file(m), TASTE, _title(m), lines=m.record.candidate.set == "linearts") for m in turns
    ]


def _counts(dataset: Dataset) -> dict[str, Counter[str]]:
    """How many pictures each set has, by split."""
    found: dict[str, Counter[str]] = {name: Counter() for name in SETS}
    for name, member in members(dataset):
        found[name][member.split] += 1
    return found


def _origins(dataset: Dataset, page: Path) -> list[dict[str, Any]]:
    """Each set's sources with their rights, how many pictures they gave, and a link to the licence text."""
    return [{**row, "link": _link(dataset, row["file"], page)} for row in rights(dataset)]


def _link(dataset: Dataset, file: str, page: Path) -> str:
    """Relative link from the page to a licence text; empty where the page does not lie above it."""
    target, home = (dataset.folder / file).resolve(), page.resolve().parent
    inside = target.is_relative_to(dataset.folder.resolve()) and target.is_relative_to(home)
    return quote(Path(os.path.relpath(target, home)).as_posix()) if inside and target.is_file() else ""


def _reasons(dataset: Dataset) -> list[Reason]:
    """Every reason for which something was dropped, most frequent first, with some of its pictures."""
    found = []
    for name, count in dataset.dropped().items():
        entries = [e for e in dataset.ledger if not e.verdict.kept and e.verdict.reason == name]
        drops, notes = _drops(dataset, entries)
        found.append(Reason(name, REASONS.get(name, ""), count, drops, notes))
    return found


def _drops(dataset: Dataset, entries: list[LedgerEntry]) -> tuple[tuple[Drop, ...], tuple[str, ...]]:
    """The first pictures dropped for a reason, beside their keepers; and what is said of those without."""
    shown: list[tuple[str, Picture, str]] = []
    notes: list[str] = []
    for entry in sorted(entries, key=lambda e: e.verdict.keeper):
        if len(shown) + len(notes) == DROPPED:
            break
        detail = _without_folders(entry.verdict.detail)
        picture = _glimpse(dataset, entry.sha256, f"dropped picture {_label(entry.candidate.key)}")
        if picture:
            shown.append((entry.verdict.keeper, picture, detail))
        else:
            notes.append(detail or entry.candidate.key)
    drops = [
        Drop(_glimpse(dataset, keeper, "the picture kept instead"), tuple((p, text) for _, p, text in group))
        for keeper, group in groupby(shown, key=lambda s: s[0])
    ]
    return tuple(drops), tuple(notes)


def _glimpse(dataset: Dataset, sha256: str, alt: str) -> Picture | None:
    """A small picture of anything in the data set's store, dropped or kept; None where it holds none."""
    file = dataset.stored(sha256)
    try:
        return _picture(file, GLIMPSE, alt) if file else None
    except ImageError:
        return None


def _drawings(dataset: Dataset, pairs: Sequence[Pair]) -> list[tuple[Picture, list[tuple[float, Picture]]]]:
    """Some illustrations, each with its line drawings by rising σ."""
    by_id: dict[str, list[Pair]] = {}
    for pair in sorted(pairs, key=lambda p: p.sigma):
        by_id.setdefault(pair.sha256, []).append(pair)
    chosen = _varied([m for m in dataset.illustrations if m.record.sha256 in by_id], DRAWN)
    return [
        (
            _picture(dataset.file(member), SIDE, f"illustration {_title(member)}"),
            [(pair.sigma, _drawing(dataset, pair)) for pair in by_id[member.record.sha256]],
        )
        for member in chosen
    ]


def _drawing(dataset: Dataset, pair: Pair) -> Picture:
    return _picture(dataset.folder / pair.path, SIDE, f"its line drawing at σ {pair.sigma:g}", lines=True)


def _rows(
    dataset: Dataset, cards: list[ScoreCard], hints: Hints | None, examples: int, progress: Progress
) -> Iterable[Row]:
    """Line arts with every method's output, those with true colours first."""
    chosen = _examples(dataset, examples)
    for member in progress.track(chosen, "report", len(chosen)):
        sha256, title, truth = member.record.sha256, _title(member), dataset.truth(member)
        yield Row(
            _picture(dataset.file(member), SIDE, f"line art {title}", lines=True),
            tuple((hints or {}).get(sha256, ())),
            tuple(_output(card, sha256, title) for card in cards),
            _picture(dataset.file(truth), SIDE, f"true colours of {title}") if truth else None,
        )


def _examples(dataset: Dataset, count: int) -> list[Member]:
    """Line arts to show: up to half without true colours, after those with."""
    true = [m for m in dataset.linearts if dataset.truth(m)]
    other = [m for m in dataset.linearts if not dataset.truth(m)]
    first = _varied(true, count - min(len(other), count // 2))
    return first + _varied(other, count - len(first))


def _varied(chosen: Sequence[Member], count: int) -> list[Member]:
    """The first `count` by id, the sources taking turns: varied, and picked by no eye."""
    sources: dict[str, list[Member]] = {}
    for member in chosen:
        sources.setdefault(member.record.candidate.source, []).append(member)
    return [m for turn in zip_longest(*sources.values()) for m in turn if m][:count]


def _output(card: ScoreCard, sha256: str, title: str) -> Picture | None:
    file = card.submission / f"{sha256}.png"
    return _picture(file, SIDE, f"{title} colorized by {card.name}") if file.is_file() else None


def _picture(path: Path, side: int, alt: str, *, lines: bool = False) -> Picture:
    """A picture at twice `side` CSS pixels along its longest side, as WebP; `lines` stay sharp."""
    image = read(path)
    height, width = image.shape[:2]
    shrink = min(1.0, 2 * side / max(height, width))
    small = resize_shortest(image, max(1, round(min(height, width) * shrink)))
    shown = side / max(height, width)
    data = base64.b64encode(_webp(small, lines)).decode()
    size = (max(1, round(width * shown)), max(1, round(height * shown)))
    return Picture(f"data:image/webp;base64,{data}", *size, alt)


def _webp(image: Array, lossless: bool) -> bytes:
    if lossless:  # 16 tones are enough for lines, and halve their bytes
        image = ((image.astype("uint16") + 8) // 17 * 17).astype("uint8")
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", lossless=lossless, quality=80, method=4)
    return buffer.getvalue()


def _title(member: Member) -> str:
    return f"{_label(member.record.candidate.key)} ({member.record.candidate.source})"


def _label(key: str) -> str:
    return Path(key).stem


def _without_folders(text: str) -> str:
    """The text without this machine's folders: of an absolute path only the last name is told."""
    return re.sub(r"""(?<![^\s"'])(?:~|[A-Za-z]:)?[/\\](?=\S)(?:[^"'/\\\n]+[/\\])*""", "…/", text)


def _digests(score: Score) -> Iterable[tuple[str, str]]:
    """SHA-256 of what was scored, by what it is."""
    found = dict(score.card.digests)
    told = score.fid.more.get("digests") if score.fid else None
    if isinstance(told, list | tuple):
        found |= dict(zip(("submission", "reference"), map(str, told), strict=False))
    return sorted(found.items())


def _weights(scores: Sequence[Score]) -> dict[str, list[str]]:
    """SHA-256 of the networks' weights by which figures were taken, with the figures' titles."""
    found: dict[str, list[str]] = {}
    for name, figure in ((n, f) for score in scores for n, f in sorted(score.figures.items())):
        told = figure.more.get("weights_sha256")
        for digest in told.values() if isinstance(told, Mapping) else [told] if told else []:
            titles = found.setdefault(str(digest), [])
            titles += [TITLES.get(name, name)] * (TITLES.get(name, name) not in titles)
    return found


def _both(n: int | tuple[int | None, int | None]) -> tuple[int | None, ...]:
    return n if isinstance(n, tuple) else (n,)
