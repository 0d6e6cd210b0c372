"""How well hashes find changed copies of real pictures, and drawings of coloured ones; by kind of change.

    python benchmarks/leaks.py ../shared/data/art

Prints, for each change: recall (copies found under the thresholds of a build) and the share of pictures that
are in a false pair (with another picture, or its copy). True pairs of the folder itself are not known, so
pictures that are alike already among the originals are left out first.
"""

import json
from collections.abc import Callable
from pathlib import Path

import click
import cv2
import numpy as np

from lacbench.hashing import ink_hash, is_sparse, phash, to_array
from lacbench.images import Array, read
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


def cropped(image: Array, share: float) -> Array:
    """Without a margin on each side."""
    height, width = image.shape[:2]
    y, x = round(height * share), round(width * share)
    return image[y : height - y, x : width - x]


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
    "crop 5% a side": lambda image: cropped(image, 0.05),
    "flip": lambda image: np.ascontiguousarray(image[:, ::-1]),
}
BENIGN = 8
"""How many of the changes, from the first on, must be found."""


def unlike(images: list[Array], limit: int) -> list[Array]:
    """The pictures whose hash says something and is near no other's."""
    told = [image for image in images if not is_sparse(image)]
    pairs, _ = near_pairs(to_array([phash(image) for image in told]), limit + 8)
    alike = set(pairs.ravel().tolist())
    return [image for i, image in enumerate(told) if i not in alike]


def measured(images: list[Array], change: Callable[[Array], Array], limit: int) -> tuple[float, float]:
    """Recall of changed copies, and the share of pictures in a false pair."""
    before = to_array([phash(image) for image in images])
    after = to_array([phash(change(image)) for image in images])
    pairs, _ = cross_pairs(before, after, limit)
    right = pairs[:, 0] == pairs[:, 1]
    return float(right.sum() / len(images)), len(set(pairs[~right].ravel().tolist())) / len(images)


def across(images: list[Array]) -> tuple[float, float]:
    """The same of XDoG drawings of coloured pictures, by the ink hash."""
    coloured = to_array([ink_hash(image) for image in images])
    drawn = to_array([ink_hash(np.repeat(xdog(image, 0.4)[..., None], 3, axis=2)) for image in images])
    pairs, _ = cross_pairs(coloured, drawn, SPEC.across)
    right = pairs[:, 0] == pairs[:, 1]
    return float(right.sum() / len(images)), len(set(pairs[~right].ravel().tolist())) / len(images)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--every", default=1, help="Take every so manieth picture.")
def main(folder: Path, every: int) -> None:
    """Print the table for the labelled pictures of a folder with a manifest.json."""
    rows = json.loads((folder / "manifest.json").read_text("utf-8"))
    sets = {
        name: unlike(
            [read(folder / r["file"]) for r in rows if r["set"] == name][::every], getattr(SPEC, name)
        )
        for name in ("illustrations", "linearts")
    }
    click.echo(f"{len(sets['illustrations'])} illustrations, {len(sets['linearts'])} line arts\n")
    click.echo("| change | illustrations: recall | in a false pair | line arts: recall | in a false pair |")
    click.echo("|---|---:|---:|---:|---:|")
    found = {
        name: [measured(images, c, getattr(SPEC, name)) for c in CHANGES.values()]
        for name, images in sets.items()
    }
    for number, change in enumerate(CHANGES):
        cells = [f"{value:.1%}" for name in sets for value in found[name][number]]
        click.echo(f"| {change} | {' | '.join(cells)} |")
    benign = [f"{np.mean([r for r, _ in found[name][:BENIGN]]):.2%}" for name in sets]
    click.echo(
        f"\nbenign changes (the first {BENIGN}): {benign[0]} of illustrations, {benign[1]} of line arts"
    )
    recall, false = across(sets["illustrations"])
    click.echo(
        f"drawings of coloured pictures, by the ink hash: recall {recall:.1%}, in a false pair {false:.1%}"
    )


if __name__ == "__main__":
    main()
