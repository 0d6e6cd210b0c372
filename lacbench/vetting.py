"""What is looked for in a submission before it is scored: each finding names its picture."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lacbench.errors import ImageError, InputError
from lacbench.files import sha256_bytes
from lacbench.hashing import phash, to_array
from lacbench.images import Array, read
from lacbench.lineart import chroma, clean
from lacbench.metrics.claims import SIZE, same_aspect
from lacbench.metrics.decoding import read_on_white
from lacbench.metrics.paired import matched, psnr
from lacbench.progress import Progress, Silent
from lacbench.records import Dataset, Member
from lacbench.search import cross_pairs
from lacbench.submission import Submission

GREY = 2.0
"""Spread of the opponent colours, in 0–255, up to which a picture is of one tint; see `chroma`."""
ALIKE = 32
"""Bits of 256 up to which an output resembles an illustration so much that their pixels are compared."""
COPIED = 30.0
"""PSNR in dB, at COMPARED pixels, from which an output is a copy of the picture it resembles. Models' outputs
came to 27 from their true pictures at most, copies of these to 33 and more after JPEG at quality 30, halving,
noise or more light."""
COMPARED = 128
"""Shortest side, in pixels, at which pictures are compared."""

Kind = Literal[
    "missing",
    "extra",
    "twice",
    "unreadable",
    "aspect",
    "copied",
    "alike",
    "small",
    "grey",
    "identical",
    "input",
]
"""What can be found."""
KINDS: Mapping[Kind, tuple[bool, str]] = {
    "missing": (True, "line arts without output"),
    "extra": (True, "pictures of no line art"),
    "twice": (True, "line arts with several outputs"),
    "unreadable": (True, "outputs that cannot be read"),
    "aspect": (True, "outputs of another shape than their line art"),
    "copied": (True, "outputs that are copies of the data set's illustrations"),
    "alike": (False, "outputs made with hints that equal the data set's illustrations, as flat colours may"),
    "small": (False, f"outputs with a shortest side below the {SIZE} pixels that metrics are taken at"),
    "grey": (False, "outputs that are grey, or of one tint"),
    "identical": (False, "outputs with the pixels of another line art's"),
    "input": (False, "outputs that are the line art handed back"),
}
"""Whether a submission with it is refused, and what it is."""


@dataclass(frozen=True)
class Finding:
    """One thing about one picture."""

    kind: Kind
    """What it is; see `KINDS`."""
    picture: str
    """The line art's id; for a picture of no line art its name."""
    detail: str = ""
    """The numbers behind it, for people."""

    @property
    def fatal(self) -> bool:
        """Whether a submission with it is refused."""
        return KINDS[self.kind][0]


def vet(submission: Submission, dataset: Dataset, progress: Progress | None = None) -> tuple[Finding, ...]:
    """Everything that is wrong or odd with a submission, in the order of `KINDS`, then of the pictures.

    Raises what reading the data set's own pictures raises.
    """
    found = [Finding("missing", key) for key in submission.missing]
    found += [Finding("extra", name) for name in submission.extra]
    found += [Finding("twice", key) for key in submission.twice]
    linearts = {member.record.sha256: member for member in dataset.linearts}
    pixels: dict[str, str] = {}
    hashes: dict[str, bytes] = {}
    tracked = (progress or Silent()).track(submission.outputs.items(), "check", len(submission.outputs))
    for key, file in tracked:
        try:
            output = read_on_white(file)
        except ImageError as error:
            found.append(Finding("unreadable", key, str(error)))
            continue
        found += _judged(key, output, linearts[key], dataset)
        digest = sha256_bytes(str(output.shape).encode() + output.tobytes())
        if digest in pixels:
            found.append(Finding("identical", key, f"as of {pixels[digest]}"))
        pixels.setdefault(digest, key)
        hashes[key] = phash(output)
    found += _copies(submission, hashes, dataset)
    order = list(KINDS)
    return tuple(sorted(found, key=lambda finding: (order.index(finding.kind), finding.picture)))


def _judged(key: str, output: Array, lineart: Member, dataset: Dataset) -> Iterator[Finding]:
    """What can be said of one output and its line art."""
    height, width = output.shape[:2]
    told = lineart.record.statistics
    if not same_aspect((height, width), (told.height, told.width)):
        yield Finding(
            "aspect", key, f"{width} × {height} pixels; its line art has {told.width} × {told.height}"
        )
        return
    if min(height, width) < min(SIZE, told.height, told.width):
        yield Finding("small", key, f"{width} × {height} pixels")
    if (spread := chroma(output)) > GREY:
        return
    yield Finding("grey", key, f"its opponent colours spread by {spread:.2g}")
    line_art = np.repeat(clean(read(dataset.file(lineart)))[..., None], 3, axis=2)
    if (likeness := _likeness(output, line_art)) >= COPIED:
        yield Finding("input", key, f"{likeness:.0f} dB from its line art")


def _copies(submission: Submission, hashes: Mapping[str, bytes], dataset: Dataset) -> Iterator[Finding]:
    """Outputs that are copies of their true picture, or of an illustration that their hash is near."""
    if not hashes or not dataset.illustrations:
        return
    keys, pictures = list(hashes), dataset.illustrations
    of_pictures = to_array([m.record.statistics.phash for m in pictures])
    near, _ = cross_pairs(to_array([hashes[key] for key in keys]), of_pictures, ALIKE)
    pairs = {(keys[output], pictures[picture].record.sha256): pictures[picture] for output, picture in near}
    for lineart in dataset.linearts:
        if (truth := dataset.truth(lineart)) and lineart.record.sha256 in hashes:
            pairs[lineart.record.sha256, truth.record.sha256] = truth
    for (key, picture), member in pairs.items():
        likeness = _likeness(read_on_white(submission.outputs[key]), read(dataset.file(member)))
        if likeness >= COPIED:
            kind: Kind = "alike" if submission.hinted else "copied"
            yield Finding(kind, key, f"{likeness:.0f} dB from {picture}")


def _likeness(output: Array, picture: Array) -> float:
    """PSNR in dB of two pictures, at a small size; 0 for those of two aspects."""
    try:
        return psnr(*matched(output, picture, COMPARED))
    except InputError:
        return 0.0
