"""How a study's figures are drawn and written: the style, the colours, PNG and SVG."""

import io
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lacbench.errors import MissingError
from lacbench.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = "cividis"
"""Dark to light in even steps of lightness, blue to yellow: told apart in grey and by colour-blind people."""
STYLE: Any = {
    "svg.hashsalt": "lacbench",  # else ids are random
    "svg.fonttype": "none",  # text stays text
    "text.parse_math": False,  # a method may be called "$x$"
    "axes.unicode_minus": True,
    "font.family": ["sans-serif"],
    "font.size": 9.0,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8b8b92",
    "axes.labelcolor": "#1c1c1e",
    "xtick.color": "#5a5a5f",
    "ytick.color": "#1c1c1e",
    "ytick.major.size": 0.0,
}
"""Settings of Matplotlib that stand while a figure is drawn and written, and not longer."""
DPI = 200
"""Pixels an inch in PNG."""
LONGEST = 28
"""Characters of a name that are shown."""
_lock = threading.Lock()  # the settings are the whole process's


@dataclass(frozen=True)
class Plot:
    """A figure that can be written; it is drawn when it is."""

    name: str
    """File name without its ending."""
    title: str
    """What it shows, in a line."""
    alt: str
    """What is to be seen in it, for those who cannot see it."""
    size: tuple[float, float]
    """Width and height in inches."""
    draw: Callable[["Figure"], None]
    """Draws it."""

    @cached_property
    def svg(self) -> bytes:
        """The figure as an SVG file, drawn once. Raises MissingError where Matplotlib is not installed."""
        return self._render("svg", {"Date": None, "Creator": None, "Title": self.title})

    @cached_property
    def png(self) -> bytes:
        """The figure as a PNG file, drawn once. Raises MissingError where Matplotlib is not installed."""
        return self._render("png", {"Software": None})

    def _render(self, form: str, told: dict[str, str | None]) -> bytes:
        """A file that tells `told`: the same data and version of Matplotlib give the same bytes."""
        try:
            import matplotlib
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure
        except ImportError as error:
            raise MissingError("figures need Matplotlib; run: pip install 'lacbench[study]'") from error
        buffer, style = io.BytesIO(), {**matplotlib.rcParamsDefault, **STYLE}
        style.pop("backend")  # it would not be set back
        with _lock, matplotlib.rc_context(style), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from")  # a name in another script
            figure = Figure(self.size, dpi=DPI, layout="constrained")
            FigureCanvasAgg(figure)
            self.draw(figure)
            figure.savefig(buffer, format=form, dpi=DPI, metadata=told)
        return buffer.getvalue()


def save_figures(folder: Path, plots: Sequence[Plot]) -> list[Path]:
    """Write each figure as NAME.png and NAME.svg, atomically. Raises MissingError, OutputError."""
    paths = []
    for plot in plots:
        for path, data in ((folder / f"{plot.name}.png", plot.png), (folder / f"{plot.name}.svg", plot.svg)):
            write_bytes(path, data)
            paths.append(path)
    return paths


def shades(count: int = 5) -> list[tuple[float, float, float]]:
    """Colours from the lowest score to the highest: sRGB in 0–1, evenly rising lightness."""
    import matplotlib

    colors = matplotlib.colormaps[PALETTE](np.linspace(0, 1, count))
    return [(float(red), float(green), float(blue)) for red, green, blue, _ in colors]


def ink_on(color: Sequence[float]) -> str:
    """Black or white, whichever has the greater contrast on an sRGB colour (WCAG 2.2, relative luminance)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color[:3]]
    luminance = float(np.dot((0.2126, 0.7152, 0.0722), linear))
    return "#000000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "#ffffff"


def name_rows(axes: "Axes", names: Sequence[str], bold: str | None = None) -> None:
    """Names down the left side, from the top."""
    axes.set_yticks(range(len(names)), [shorten(name) for name in names])
    for label, name in zip(axes.get_yticklabels(), names, strict=True):
        label.set_fontweight("bold" if name == bold else "normal")
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.spines["left"].set_visible(False)


def shorten(name: str) -> str:
    """A name that fits beside a figure: its beginning and its end, where names differ."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 11]}…{name[-10:]}"
