"""The nouns of the straight line, as frozen records. Every field says its unit."""

import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol

Set = Literal["illustrations", "linearts"]
"""The two sets of a data set: colour illustrations, and authentic line arts."""

SETS: tuple[Set, Set] = ("illustrations", "linearts")

Split = Literal["train", "validation", "test"]
"""Which use a record may be put to. Line arts are always `test`: the paper scores on them."""


@dataclass(frozen=True)
class Candidate:
    """A picture that a source offers; nothing is known of it but where it comes from."""

    source: str
    """Name of the recipe's source."""
    key: str
    """The picture's name within its source; source and key together name it once and for all."""
    set: Set
    """The set it is offered for."""
    origin: str
    """Where it comes from, for people: package and version, site, or folder."""
    license: str
    """Licence, as an SPDX identifier where the source gives one; `unknown` otherwise."""
    license_file: str = ""
    """Path in the data set's folder of the full licence text; empty where the source has none."""
    pair: str = ""
    """Name shared by a line art and its coloured version (a true pair); empty for neither."""
    path: Path = field(default=Path(), compare=False, repr=False)
    """The local file that holds it, while a data set is being built; manifests do not keep it."""
    url: str = ""
    """Where its bytes are fetched from; empty for local files, and where a site hides the file."""
    page: str = ""
    """Address of the page that shows it, for people; or where the site says it was found."""
    artist: str = ""
    """Who made it, as the source names them; several are parted by spaces."""
    rating: str = ""
    """`general`, `safe`, `sensitive`, `questionable` or `explicit`; empty where the source has none."""
    score: int | None = None
    """The site's score; None where there is none."""
    tags: tuple[str, ...] = ()
    """The site's tags, sorted."""
    md5: str = ""
    """Hexadecimal MD5 that the site states for the file; empty for none."""
    width: int = field(default=0, compare=False)
    """Pixels, as the site states them; 0 for unknown. Manifests have the measured ones instead."""
    height: int = field(default=0, compare=False)
    """Pixels, as the site states them; 0 for unknown."""


@dataclass(frozen=True)
class Statistics:
    """What is measured of a picture once, at decoding; the filters judge by it."""

    width: int
    """Pixels."""
    height: int
    """Pixels."""
    format: str
    """Container the bytes are in, as Pillow names it: PNG, JPEG, WEBP …"""
    frames: int
    """Pictures in the file: 1 is still, more is an animation (or the pages of a TIFF)."""
    transparency: float
    """Area that is not opaque, 0–1: one minus the mean of alpha."""
    border: float
    """Share of the area in uniform bars along opposite edges, 0–1; see `lacbench.borders`."""
    colorfulness: float
    """Hasler and Süsstrunk (2003), on sRGB in 0–255: 0 is grey, over 30 is clearly coloured."""
    paper: float
    """Share of pixels in the colour of the paper (the most frequent tone), 0–1."""
    ink: float
    """Share of pixels clearly darker than the paper, 0–1."""
    hues: float
    """Share of pixels whose colour lies off the line between paper and ink, 0–1."""
    chroma: float
    """Spread of the opponent colours that tone does not explain, in 0–255: one ink on any paper is near 0."""
    solid: float
    """Share of pixels off the paper even after lines thinner than 5% of the shortest side are closed, 0–1."""
    shading: float
    """The part of `solid` that is clearly lighter than the ink, 0–1: filled, but not with ink."""
    reach: float
    """Mean shorter side of the marks' boxes, by area of ink, as a share of the picture's shortest side."""
    phash: bytes
    """256-bit perceptual hash (32 bytes) of the grey picture; see `lacbench.hashing`."""
    ink_hash: bytes
    """256-bit perceptual hash (32 bytes) of the blurred line drawing; equal across the two sets."""
    sparse: bool
    """Whether the hash says little (flat or periodic pictures): only exact duplicates count."""


@dataclass(frozen=True)
class Record:
    """A picture we hold. Its sha256 is its id."""

    sha256: str
    """Hexadecimal SHA-256 of the stored file's bytes."""
    path: str
    """Path of the stored file within the data set's folder, with forward slashes."""
    candidate: Candidate
    """What it was collected as."""
    statistics: Statistics
    """What was measured of it."""

    @property
    def area(self) -> int:
        """Pixels, width times height."""
        return self.statistics.width * self.statistics.height


@dataclass(frozen=True)
class Verdict:
    """What became of a candidate: kept, or dropped for a reason."""

    kept: bool
    """Whether the picture went on."""
    reason: str = ""
    """Why it was dropped: one word of the ledger's vocabulary; empty when kept."""
    detail: str = ""
    """The numbers behind the reason, for people."""
    keeper: str = ""
    """For duplicates: sha256 of the picture kept instead."""
    distance: int | None = None
    """For near duplicates: Hamming distance to the keeper, in bits of 256."""


KEPT = Verdict(kept=True)


@dataclass(frozen=True)
class LedgerEntry:
    """One candidate and its one verdict."""

    candidate: Candidate
    """What was offered."""
    verdict: Verdict
    """What became of it."""
    sha256: str = ""
    """Id of the stored picture; empty where none could be stored."""
    statistics: Statistics | None = None
    """What was measured of it; None where it was not."""


class Ledger(Protocol):
    """Every candidate with its verdict; may be longer than memory."""

    def __iter__(self) -> Iterator[LedgerEntry]:
        """All entries, sorted by source, key and set."""
        ...

    def __len__(self) -> int:
        """How many there are."""
        ...

    def reasons(self) -> Iterable[str]:
        """The reason of each entry; empty for kept."""
        ...


@dataclass(frozen=True)
class Member:
    """A record in its data set, with its split."""

    record: Record
    """The picture."""
    split: Split
    """Which use it may be put to; by duplicate group, so that no split leaks into another."""


@dataclass(frozen=True)
class Pair:
    """A picture and the line drawing made of it by XDoG."""

    sha256: str
    """Id of the picture."""
    sigma: float
    """Thickness: standard deviation of the XDoG's inner Gaussian, in pixels at `size`."""
    size: int
    """Shortest side, in pixels, that the picture was resized to before the XDoG."""
    path: str
    """Path of the line drawing (1-bit PNG) within the data set's folder, with forward slashes."""
    width: int
    """Pixels."""
    height: int
    """Pixels."""
    split: Split
    """The picture's split."""


@dataclass(frozen=True)
class Dataset:
    """A built data set: two manifests, a ledger, a digest."""

    folder: Path
    """Where it lies."""
    digest: str
    """SHA-256 over both manifests' ids, splits and true pairs: equal digests, equal data."""
    illustrations: tuple[Member, ...] = field(repr=False)
    """Colour illustrations, sorted by id."""
    linearts: tuple[Member, ...] = field(repr=False)
    """Authentic line arts, sorted by id."""
    ledger: Ledger = field(repr=False, compare=False)
    """Every candidate with its verdict, sorted by source, key and set; read anew at every iteration."""
    recipe: str = field(repr=False, default="")
    """The recipe's text, as it was run."""

    @property
    def name(self) -> str:
        """The recipe's name for it; the folder's where the recipe is gone."""
        try:
            return str(tomllib.loads(self.recipe)["name"])
        except (tomllib.TOMLDecodeError, KeyError):
            return self.folder.name

    def file(self, member: Member) -> Path:
        """The stored picture's path on this machine."""
        return self.folder / member.record.path

    def stored(self, sha256: str) -> Path | None:
        """The stored picture of that id, kept or left out; None where no bytes were stored."""
        found = self.folder.glob(f"images/{sha256[:2]}/{sha256}.*") if sha256 else ()
        return next(iter(found), None)

    def truth(self, lineart: Member) -> Member | None:
        """The coloured version of a line art that belongs to a true pair, if it has one here."""
        return self._truths.get(lineart.record.candidate.pair)

    @cached_property
    def _truths(self) -> dict[str, Member]:
        return {m.record.candidate.pair: m for m in self.illustrations if m.record.candidate.pair}

    def dropped(self) -> dict[str, int]:
        """How many candidates were dropped, by reason, most frequent first."""
        reasons = Counter(self.ledger.reasons())
        reasons.pop("", None)
        return dict(sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0])))
