"""XDoG against the same drawings by others: three masks of one uint8 grey picture, on one core.

    python benchmarks/xdog.py ../shared/data/art

Pictures of the art are resized, cut to squares and made grey beforehand. All contestants draw a picture
before the next one comes, twice each, of which the second time counts: nobody pays for what another one left
in the caches and the allocator. Seconds are those of the processor, in all threads, so that what else runs on
the machine counts little; medians over pictures and rounds. A ratio is the median of those on one picture.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import click
import cv2
import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from lacbench.images import Array, read, resize_shortest, to_grey
from lacbench.xdog import SIGMAS, xdog
from lacbench.xdog_torch import xdog_batch

from collect import show

TAU, K = 0.95, 4.5
SIZES = (1024, 512)
Contestant = Callable[[Array, float], Array]
"""From uint8 (H, W) grey and σ to uint8 (H, W), 0 ink, 255 paper."""


def scipy_float64(grey: Array, sigma: float) -> Array:
    """What the others are measured by: the formula as it stands."""
    picture = grey.astype(np.float64)
    difference = gaussian_filter(picture, sigma) - TAU * gaussian_filter(picture, K * sigma)
    return np.where(difference >= 0, np.uint8(255), np.uint8(0))


def blur(grey: Array, sigma: float) -> np.ndarray:
    """OpenCV's GaussianBlur in float32 with SciPy's truncation and border."""
    side = 2 * int(4 * sigma + 0.5) + 1
    return cv2.GaussianBlur(grey.astype(np.float32), (side, side), sigma, borderType=cv2.BORDER_REFLECT)


def opencv_numpy(grey: Array, sigma: float) -> Array:
    """The formula on OpenCV's blurs."""
    difference = blur(grey, sigma) - np.float32(TAU) * blur(grey, K * sigma)
    return np.where(difference >= 0, np.uint8(255), np.uint8(0))


def opencv_alone(grey: Array, sigma: float) -> Array:
    """The same with nothing but OpenCV, which makes fewer passes."""
    difference = cv2.scaleAdd(blur(grey, K * sigma), -TAU, blur(grey, sigma))
    return cv2.compare(difference, 0, cv2.CMP_GE)


def torch_batch(grey: Array, sigma: float) -> Array:
    """lacbench's version for batches, on the CPU."""
    return xdog_batch(torch.from_numpy(grey)[None], sigma)[0].numpy()


CONTESTANTS: dict[str, Contestant] = {
    "lacbench": xdog,
    "SciPy gaussian_filter, float64": scipy_float64,
    "OpenCV GaussianBlur float32, NumPy's threshold": opencv_numpy,
    "OpenCV GaussianBlur float32, OpenCV's threshold": opencv_alone,
    "lacbench.xdog_torch on the CPU": torch_batch,
}


def squares(art: Path, size: int, count: int) -> list[Array]:
    """The middle of pictures spread over the art's illustrations: uint8 (size, size) grey each."""
    files = sorted((art / "illustrations").iterdir())
    pictures = []
    for file in files[:: max(1, len(files) // count)][:count]:
        grey = to_grey(resize_shortest(read(file), size))
        top, left = ((length - size) // 2 for length in grey.shape)
        pictures.append(np.ascontiguousarray(grey[top : top + size, left : left + size]))
    return pictures


def race(pictures: list[Array], rounds: int) -> None:
    """Print each one's speed, and its pixels that differ from SciPy's."""
    seconds: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    wrong = dict.fromkeys(CONTESTANTS, 0)
    for number in range(rounds):
        for picture in pictures:
            truth = [scipy_float64(picture, sigma) for sigma in SIGMAS] if number == 0 else []
            for name, draw in CONTESTANTS.items():
                drawings = [draw(picture, sigma) for sigma in SIGMAS]
                start = time.process_time()
                drawings = [draw(picture, sigma) for sigma in SIGMAS]
                seconds[name].append(time.process_time() - start)
                wrong[name] += sum(int((a != b).sum()) for a, b in zip(drawings, truth, strict=False))
    ours, size = seconds["lacbench"], pictures[0].shape[0]
    table = [
        [f"{size} × {size}", "ms", "pictures/s/core", "lacbench is so many times as fast", "wrong pixels"]
    ]
    for name, theirs in seconds.items():
        middle = statistics.median(theirs)
        ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
        total = len(SIGMAS) * len(pictures) * size**2
        row = [f"{1000 * middle:.2f}", f"{1 / middle:.0f}", f"{ratio:.2f}", f"{wrong[name]} of {total:,}"]
        table.append([name, *row])
    show(table)


@click.command()
@click.argument("art", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--pictures", default=24, show_default=True, help="How many are drawn at each size.")
@click.option("--rounds", default=3, show_default=True, help="How many times each is drawn.")
def main(art: Path, pictures: int, rounds: int) -> None:
    """Compare lacbench's XDoG with others', at 1024 and at 512 pixels."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    for size in SIZES:
        race(squares(art, size, pictures), rounds)


if __name__ == "__main__":
    main()
