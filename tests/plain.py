"""The measures of a picture, slow and plain, as first written: the oracle of `lacbench.store.statistics`.

Each is reckoned from the picture anew, in NumPy where that has it, and nothing is shared. Values must stay
these, bit for bit: they stand in the manifests of data sets that are there.
"""

import cv2
import numpy as np
from scipy.fft import dctn

from lacbench.images import Picture
from lacbench.records import Statistics
from lacbench.xdog import xdog


def statistics(picture: Picture) -> Statistics:
    image = picture.image
    small = shrunk(image, 256)
    paper, ink, hues = tones(small)
    solid, shading, reach = forms(small)
    return Statistics(
        *(image.shape[1], image.shape[0], picture.format, picture.frames, picture.transparency),
        *(border(small), colorfulness(small), paper, ink, hues, chroma(small), solid, shading, reach),
        *(phash(grey_of(image)), ink_hash(image), is_sparse(image)),
    )


def grey_of(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def resized(image: np.ndarray, size: int) -> np.ndarray:
    shortest = min(image.shape[:2])
    height, width = (max(size, round(length * size / shortest)) for length in image.shape[:2])
    if (height, width) == image.shape[:2]:
        return image
    return cv2.resize(
        image, (width, height), interpolation=cv2.INTER_AREA if shortest > size else cv2.INTER_CUBIC
    )


def shrunk(image: np.ndarray, size: int) -> np.ndarray:
    return resized(image, size) if min(image.shape[:2]) > size else image


def paper_color(image: np.ndarray) -> np.ndarray:
    bins = (image.astype(np.int64) >> 3) @ [1024, 32, 1]
    return image[bins == np.bincount(bins.ravel()).argmax()].mean(axis=0)


def tone_of(color: np.ndarray) -> int:
    return int(grey_of(np.rint(color).astype(np.uint8).reshape(1, 1, 3))[0, 0])


def near(image: np.ndarray, paper: np.ndarray) -> np.ndarray:
    return (np.abs(image - paper) <= 24).all(axis=2)


def tones(image: np.ndarray) -> tuple[float, float, float]:
    paper = paper_color(image)
    ink = grey_of(image) < tone_of(paper) - 48
    small = shrunk(image, 128)
    red, green, blue = (small[..., c].astype(np.float32) - np.float32(paper[c]) for c in range(3))
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    darkest = luma <= np.quantile(luma, 0.01)
    axis = -paper
    if luma.min() < -48:
        axis = np.array([plane[darkest].mean() for plane in (red, green, blue)])
    x, y, z = (np.float32(c) for c in axis / (np.linalg.norm(axis) or 1.0))
    along = x * red + y * green + z * blue
    hues = red**2 + green**2 + blue**2 - along**2 > 28.0**2
    return float(near(image, paper).mean()), float(ink.mean()), float(hues.mean())


def forms(image: np.ndarray) -> tuple[float, float, float]:
    paper, grey = paper_color(image), grey_of(image)
    width = max(3, round(min(grey.shape) * 0.05))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    closed = cv2.morphologyEx(image, cv2.MORPH_CLOSE, disc)
    solid = ~near(closed, paper)
    ground = tone_of(paper)
    depth = max(ground - float(np.quantile(grey, 0.01)), 1.0)
    shading = solid & (grey_of(closed) > ground - 0.7 * depth)
    marks = grey < ground - max(0.15 * depth, 8)
    joined = cv2.dilate(marks.astype(np.uint8), np.ones((1, 3), np.uint8))
    boxes = cv2.connectedComponentsWithStats(joined, connectivity=8)[2][1:]
    shorter = boxes[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].min(axis=1)
    area = boxes[:, cv2.CC_STAT_AREA]
    reach = float(shorter @ area / max(area.sum(), 1) / min(grey.shape))
    return float(solid.mean()), float(shading.mean()), reach


def chroma(image: np.ndarray) -> float:
    small = shrunk(image, 64)
    red, green, blue = (small[..., c].astype(np.float32) for c in range(3))
    level = (grey_of(small) // 8).ravel()
    number = np.maximum(np.bincount(level, minlength=32), 1)
    variance = 0.0
    for opponent in (red - green, (red + green) / 2 - blue):
        mean = np.bincount(level, opponent.ravel(), 32) / number
        variance += float(np.var(opponent.ravel() - mean[level]))
    return float(np.sqrt(variance))


def colorfulness(image: np.ndarray) -> float:
    red, green, blue = (image[..., c].astype(np.float64) for c in range(3))
    rg, yb = red - green, (red + green) / 2 - blue
    return float(np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()))


def border(image: np.ndarray) -> float:
    turned = image.transpose(1, 0, 2)
    (top, bottom), (left, right) = margins(image), margins(turned)
    rows, columns = slice(top, image.shape[0] - bottom), slice(left, image.shape[1] - right)
    barred_rows = top and ends_straight(image[rows, columns], image[0])
    barred_columns = left and ends_straight(turned[columns, rows], turned[0])
    inner = image[rows if barred_rows else slice(None), columns if barred_columns else slice(None)]
    return 1 - inner[..., 0].size / image[..., 0].size


def margins(image: np.ndarray) -> tuple[int, int]:
    above, below = middle(image[0]), middle(image[-1])
    if np.abs(above.astype(int) - below).max() > 16:
        return 0, 0
    if min(share(image[:1], above)[0], share(image[-1:], below)[0]) < 0.99:
        return 0, 0
    same = share(image, above) >= 0.99
    return (0, 0) if same.all() else (int(np.argmin(same)), int(np.argmin(same[::-1])))


def ends_straight(inner: np.ndarray, bar: np.ndarray) -> bool:
    beyond = inner[[1, -2]] if len(inner) > 2 else inner
    return bool(share(beyond, middle(bar)).max() <= 1 - 0.8)


def middle(row: np.ndarray) -> np.ndarray:
    return np.median(row, axis=0).astype(np.uint8)


def share(image: np.ndarray, color: np.ndarray) -> np.ndarray:
    return (np.abs(image.astype(int) - color) <= 16).all(axis=2).mean(axis=1)


def spectrum(grey: np.ndarray) -> np.ndarray:
    small = cv2.resize(grey.astype(np.float32), (64, 64), interpolation=cv2.INTER_AREA)
    return dctn(small.astype(np.float64), type=2)[:16, :16]


def phash(grey: np.ndarray) -> bytes:
    low = spectrum(grey)
    return np.packbits(low > np.median(low)).tobytes()


def is_sparse(image: np.ndarray) -> bool:
    strength = np.abs(spectrum(grey_of(image)))
    strength[0, 0] = 0
    top = strength.max()
    return bool(top < 1 or (strength > top / 100).mean() < 0.1)


def ink_hash(image: np.ndarray) -> bytes:
    return phash(xdog(resized(image, 512), 0.5))
