"""The content-addressed store of a data set: `images/ab/<sha256>.<ext>`."""

from pathlib import Path

from lacbench import hashing
from lacbench.borders import border
from lacbench.errors import ImageError, IntegrityError
from lacbench.files import md5_bytes, sha256_bytes, write_bytes
from lacbench.images import (
    SUFFIXES,
    Array,
    Picture,
    decode,
    decode_picture,
    identify,
    looks_like_svg,
    read_bytes,
    render_svg,
)
from lacbench.lineart import chroma, colorfulness, forms, lay, tones
from lacbench.records import Statistics

SVG_SIZE = 512
"""Shortest side, in pixels, at which vector pictures are rendered, on white."""


def keep(file: Path, name: str, folder: Path) -> tuple[str, str, str]:
    """Put a local file's bytes into the data set's store; vector pictures are rendered to PNG.

    Returns id, path, and the MD5 of the bytes as they were. Raises ImageError for bytes that are no picture.
    Stored bytes are written once.
    """
    original = read_bytes(file, name)
    data, kind = prepared(original, name)
    sha256 = sha256_bytes(data)
    path = store_path(sha256, kind)
    if not (folder / path).is_file():
        write_bytes(folder / path, data)
    return sha256, path, md5_bytes(original)


def prepared(data: bytes, name: str) -> tuple[bytes, str]:
    """The bytes that are stored for a picture's bytes, and their format, told from the bytes alone.

    An SVG is rendered. Raises ImageError for what is no picture, MissingError without the renderer.
    """
    if looks_like_svg(data):
        data = render_svg(data, SVG_SIZE, name)
    return data, identify(data, name)[0]


def read_stored(folder: Path, sha256: str, path: str) -> bytes:
    """A stored picture's bytes. Raises IntegrityError where they are not those that its id says."""
    data = read_bytes(folder / path)
    if sha256_bytes(data) != sha256:
        raise IntegrityError(
            f"{folder / path} has other bytes than its name says; `lacbench verify {folder}` names all that "
            "differ"
        )
    return data


def read_prepared(file: Path) -> Array:
    """A picture file, uint8 (H, W, 3) RGB, as the store would hold it: vector pictures are rendered.

    Raises ImageError for what is no picture, MissingError without the renderer.
    """
    return decode(prepared(read_bytes(file), str(file))[0], str(file))


def store_path(sha256: str, kind: str) -> str:
    """Where the store keeps a file, within the data set's folder."""
    return f"images/{sha256[:2]}/{sha256}{SUFFIXES[kind]}"


def measure(folder: Path, stored: tuple[str, str]) -> tuple[str, Statistics | str]:
    """Decode a stored picture (id, path) once and measure all that is asked of it later.

    Returns its id with the measures, or with the reason why it has none.
    """
    sha256, path = stored
    try:
        data = read_bytes(folder / path, path)
        return sha256, statistics(decode_picture(data, path))
    except (ImageError, MemoryError) as error:
        return sha256, str(error) or f"{path} needs more memory than there is"


def unmeasured(stored: tuple[str, str], reason: str) -> tuple[str, str]:
    """What `measure` would say of a picture that kills whoever measures it."""
    sha256, path = stored
    return sha256, f"{path} {reason}"


def statistics(picture: Picture) -> Statistics:
    """All that is measured of a decoded picture."""
    image = picture.image
    sheet, hashes = lay(image), hashing.hashes(image)
    told, drawn = tones(sheet), forms(sheet)
    return Statistics(
        width=image.shape[1],
        height=image.shape[0],
        format=picture.format,
        frames=picture.frames,
        transparency=picture.transparency,
        border=border(sheet.image),
        colorfulness=colorfulness(sheet.image),
        paper=told.paper,
        ink=told.ink,
        hues=told.hues,
        chroma=chroma(sheet.image),
        solid=drawn.solid,
        shading=drawn.shading,
        reach=drawn.reach,
        phash=hashes.phash,
        ink_hash=hashes.ink_hash,
        sparse=hashes.sparse,
    )
