"""The content-addressed store of a data set: `images/ab/<sha256>.<ext>`."""

from pathlib import Path

from lacbench import hashing
from lacbench.errors import ImageError
from lacbench.files import sha256_bytes, write_bytes
from lacbench.images import SUFFIXES, Array, decode, identify, read_bytes, render_svg
from lacbench.lineart import colorfulness, for_measuring, tones
from lacbench.records import Candidate, LedgerEntry, Record, Statistics, Stored, Verdict

SVG_SIZE = 512
"""Shortest side, in pixels, at which vector pictures are rendered, on white."""


def keep(candidate: Candidate, folder: Path) -> Stored | LedgerEntry:
    """Put a candidate's bytes into the data set's store; vector pictures are rendered to PNG.

    Bytes that are no picture get a verdict instead. Stored bytes are written once.
    """
    try:
        data = read_bytes(candidate.path, candidate.key)
        if candidate.path.suffix.lower() == ".svg":
            data = render_svg(data, SVG_SIZE, candidate.key)
        kind, _, _ = identify(data, candidate.key)
    except ImageError as error:
        return LedgerEntry(candidate, Verdict(False, "unreadable", str(error)))
    sha256 = sha256_bytes(data)
    path = f"images/{sha256[:2]}/{sha256}{SUFFIXES[kind]}"
    if not (folder / path).is_file():
        write_bytes(folder / path, data)
    return Stored(candidate, sha256, path)


def measure(folder: Path, stored: Stored) -> Record | LedgerEntry:
    """Decode a stored picture once and measure all that filters, duplicate search and splits ask for."""
    try:
        data = read_bytes(folder / stored.path, stored.candidate.key)
        statistics = _statistics(decode(data, stored.candidate.key), identify(data)[0])
    except (ImageError, MemoryError) as error:
        reason = str(error) or f"{stored.candidate.key} needs more memory than there is"
        return LedgerEntry(stored.candidate, Verdict(False, "unreadable", reason), stored.sha256)
    return Record(stored.sha256, stored.path, stored.candidate, statistics)


def _statistics(image: Array, kind: str) -> Statistics:
    small = for_measuring(image)
    told = tones(small)
    return Statistics(
        width=image.shape[1],
        height=image.shape[0],
        format=kind,
        colorfulness=colorfulness(small),
        paper=told.paper,
        ink=told.ink,
        hues=told.hues,
        phash=hashing.phash(image),
        ink_hash=hashing.ink_hash(image),
        sparse=hashing.is_sparse(image),
    )
