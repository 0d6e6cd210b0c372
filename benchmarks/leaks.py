"""How well hashes find changed copies of real pictures, and drawings of coloured ones; by kind of change.

    python benchmarks/leaks.py ../shared/data/art

Prints, for each change, by the first key and by both: recall (copies found under the thresholds of a build)
and the share of pictures that are in a false pair (with another picture, or its copy). Then the same of
drawings, at several thresholds. True pairs of the folder itself are not known, so pictures that are alike
already by the first key are left out first; crops and mirrors among them stay, and count as false.
"""

import json
from collections.abc import Callable
from pathlib import Path

import click
import cv2
import numpy as np

from lacbench.crops import crop_keys, crop_pairs
from lacbench.hashing import INK_SIGMA, INK_SIZE, ink_hash, is_sparse, phash, to_array
from lacbench.images import Array, read, resize_shortest
from lacbench.recipe import DedupeSpec
from lacbench.search import cross_pairs, near_pairs
from lacbench.xdog import xdog

SPEC = DedupeSpec()


def resized(image: Array, share: float) -> Array:
    """Smaller or larger by a factor."""
    size = (max(8, round(image.shape[1] * share)), max(8, round(image.shape[0] * share)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA if share < 1 else cv2.INTER_CUBIC))


def jpeg(image: Array, quality: int) -> Array:
    """Compressed and read again."""
    data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])


def scaled(image: Array, factor: tuple[float, float, float]) -> Array:
    """Each channel times a factor."""
    return np.clip(image * np.asarray(factor), 0, 255).astype(np.uint8)


def grey(image: Array) -> Array:
    """Without colour."""
    return np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def watermarked(image: Array) -> Array:
    """With a line of text in a corner."""
    marked = image.copy()
    height, width = image.shape[:2]
    place = (width // 2, height - height // 30)
    cv2.putText(marked, "example.org", place, cv2.FONT_HERSHEY_SIMPLEX, width / 700, (128, 128, 128), 2)
    return marked


def cut(image: Array, left: float, top: float, right: float, bottom: float) -> Array:
    """Without these shares of its width and height."""
    height, width = image.shape[:2]
    rows = slice(round(height * top), height - round(height * bottom))
    return image[rows, round(width * left) : width - round(width * right)]


def cropped(image: Array, share: float) -> Array:
    """Without a margin on each side."""
    return cut(image, share, share, share, share)


def padded(image: Array, share: float, tone: int = 255) -> Array:
    """With a margin on each side."""
    y, x = round(image.shape[0] * share), round(image.shape[1] * share)
    return np.asarray(cv2.copyMakeBorder(image, y, y, x, x, cv2.BORDER_CONSTANT, value=[tone] * 3))


def flipped(image: Array) -> Array:
    """Mirrored."""
    return np.ascontiguousarray(image[:, ::-1])


CHANGES: dict[str, Callable[[Array], Array]] = {
    "half the size": lambda image: resized(image, 0.5),
    "one and a half times the size": lambda image: resized(image, 1.5),
    "JPEG 50": lambda image: jpeg(image, 50),
    "darker by 20%": lambda image: scaled(image, (0.8, 0.8, 0.8)),
    "brighter by 10%": lambda image: scaled(image, (1.1, 1.1, 1.1)),
    "grey": grey,
    "watermark": watermarked,
    "tint": lambda image: scaled(image, (1.0, 0.92, 0.82)),
    "crop 2% a side": lambda image: cropped(image, 0.02),
    "crop 3.5% a side": lambda image: cropped(image, 0.035),
    "crop 5% a side": lambda image: cropped(image, 0.05),
    "crop 8% a side": lambda image: cropped(image, 0.08),
    "crop 4% left": lambda image: cut(image, 0.04, 0, 0, 0),
    "crop 10% at the bottom": lambda image: cut(image, 0, 0, 0, 0.1),
    "crop 4% left, 1% top, 2% right": lambda image: cut(image, 0.04, 0.01, 0.02, 0),
    "padding of 3%": lambda image: padded(image, 0.03),
    "padding of 6%": lambda image: padded(image, 0.06),
    "padding of 15%, black": lambda image: padded(image, 0.15, 0),
    "mirror": flipped,
    "mirror, crop 2% a side": lambda image: flipped(cropped(image, 0.02)),
}
BENIGN = 8
"""How many of the changes, from the first on, must be found."""


def unlike(images: list[Array], limit: int) -> list[Array]:
    """The pictures whose hash says something and is near no other's."""
    told = [image for image in images if not is_sparse(image)]
    pairs, _ = near_pairs(to_array([phash(image) for image in told]), limit + 8)
    alike = set(pairs.ravel().tolist())
    return [image for i, image in enumerate(told) if i not in alike]


Found = tuple[np.ndarray, np.ndarray]
DRAWN: dict[str, Callable[[Array], Array]] = {
    "XDoG, σ = 0.3": lambda image: drawn(image, 0.3),
    "XDoG, σ = 0.4": lambda image: drawn(image, 0.4),
    "XDoG, σ = 0.5": lambda image: drawn(image, 0.5),
    "JPEG 50": lambda image: jpeg(drawn(image, 0.4), 50),
    "half the size": lambda image: resized(drawn(image, 0.4), 0.5),
    "one and a half times the size": lambda image: resized(drawn(image, 0.4), 1.5),
    "lines 1 pixel thicker": lambda image: thickened(drawn(image, 0.4), 2),
    "lines 2 pixels thicker": lambda image: thickened(drawn(image, 0.4), 3),
    "crop 2% a side": lambda image: cropped(drawn(image, 0.4), 0.02),
    "crop 5% a side": lambda image: cropped(drawn(image, 0.4), 0.05),
    "padding of 6%": lambda image: padded(drawn(image, 0.4), 0.06),
    "mirror": lambda image: flipped(drawn(image, 0.4)),
}
LIMITS = (32, 40, 48, 60)
"""Thresholds at which drawings are compared."""


def drawn(image: Array, sigma: float) -> Array:
    """The line drawing of a picture."""
    lines = xdog(resize_shortest(image, INK_SIZE), sigma)
    return np.repeat(lines[..., None], 3, axis=2)


def thickened(image: Array, width: int) -> Array:
    """With black lines wider."""
    return np.asarray(cv2.erode(image, np.ones((width, width), np.uint8)))


def share(found: Found, count: int, limit: int) -> tuple[float, float]:
    """Recall of changed copies up to a limit, and the share of pictures in a false pair."""
    pairs = found[0][found[1] <= limit]
    right = pairs[:, 0] == pairs[:, 1]
    return len(set(pairs[right, 0].tolist())) / count, len(set(pairs[~right].ravel().tolist())) / count


def joined(one: Found, other: Found) -> Found:
    """What either of two searches found."""
    return np.concatenate([one[0], other[0]]), np.concatenate([one[1], other[1]])


def percents(values: tuple[float, ...]) -> str:
    """Cells of a table."""
    return " | ".join(f"{value:.1%}" for value in values)


def pictures(images: list[Array], limit: int) -> dict[str, tuple[float, ...]]:
    """Recall and false pairs of each change, by the first key, then by both."""
    hashes, keys = to_array([phash(i) for i in images]), np.stack([crop_keys(i) for i in images])
    told = {}
    for name, change in CHANGES.items():
        copies = [(phash(copy), crop_keys(copy)) for copy in map(change, images)]
        first = cross_pairs(hashes, to_array([copy for copy, _ in copies]), limit)
        second = crop_pairs(keys, np.stack([cut for _, cut in copies]), SPEC.cropped)
        told[name] = (*share(first, len(images), limit), *share(joined(first, second), len(images), limit))
    return told


def drawings(images: list[Array]) -> dict[str, tuple[float, ...]]:
    """Recall and false pairs of drawings by the ink hash up to each of LIMITS, then with the second key."""

    def keys(image: Array) -> np.ndarray:
        return crop_keys(drawn(image, INK_SIGMA))

    hashes, windows = to_array([ink_hash(i) for i in images]), np.stack([keys(i) for i in images])
    told = {}
    for name, change in DRAWN.items():
        copies = [(ink_hash(copy), keys(copy)) for copy in map(change, images)]
        first = cross_pairs(hashes, to_array([copy for copy, _ in copies]), max(LIMITS))
        second = crop_pairs(windows, np.stack([cut for _, cut in copies]), SPEC.cropped)
        pairs, bits = first
        both = joined((pairs[bits <= SPEC.across], bits[bits <= SPEC.across]), second)
        cells = [share(first, len(images), limit) for limit in LIMITS]
        cells.append(share(both, len(images), SPEC.across))
        told[name] = tuple(value for cell in cells for value in cell)
    return told


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--every", default=1, help="Take every so manieth illustration.")
def main(folder: Path, every: int) -> None:
    """Print the table for the labelled pictures of a folder with a manifest.json."""
    rows = json.loads((folder / "manifest.json").read_text("utf-8"))
    sets = {
        name: unlike(
            [read(folder / r["file"]) for r in rows if r["set"] == name][
                :: every if name == "illustrations" else 1
            ],
            getattr(SPEC, name),
        )
        for name in ("illustrations", "linearts")
    }
    click.echo(f"{len(sets['illustrations'])} illustrations, {len(sets['linearts'])} line arts")
    for name, images in sets.items():
        click.echo(f"\n| {name}: change | recall | false | with crops: recall | false |")
        click.echo("|---|---:|---:|---:|---:|")
        told = pictures(images, getattr(SPEC, name))
        for change, values in told.items():
            click.echo(f"| {change} | {percents(values)} |")
        benign = np.mean([values[0] for values in list(told.values())[:BENIGN]])
        click.echo(f"\nbenign changes (the first {BENIGN}), by the first key: {benign:.2%}")
    heads = [f"{limit} bits: recall | false" for limit in LIMITS]
    click.echo(f"\n| drawing | {' | '.join(heads)} | {SPEC.across} bits, and crops: recall | false |")
    click.echo("|---|" + "---:|" * (2 * len(LIMITS) + 2))
    for change, values in drawings(sets["illustrations"]).items():
        click.echo(f"| {change} | {percents(values)} |")


if __name__ == "__main__":
    main()
