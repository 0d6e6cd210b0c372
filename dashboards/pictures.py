"""How pages show pictures: small, with a caption that is plain text whatever a stranger called them."""

import re
from pathlib import Path

import streamlit as st

from lacbench.errors import ImageError
from lacbench.images import Array, read, thumbnail

SIDE = 150
"""Longest side of a small picture, in pixels: two fit side by side on a phone."""
STYLE = """<style>
.stMainBlockContainer { padding-top: 3.5rem; }
[data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] *,
[data-testid="stImageCaption"], [data-testid="stImageCaption"] * { color: inherit; opacity: 1; }
</style>"""
"""Less empty room above a page's title, and captions with contrast; for `st.html`."""


def plain(text: str) -> str:
    """Text that Markdown leaves as it is."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))


def fit(key: str, most: int) -> str:
    """The key of a number's widget, whose value is set back to 1 where it would lie beyond `most` now."""
    if st.session_state.get(key, 1) > most:
        st.session_state[key] = 1
    return key


def show_picture(file: Path | None, told: str, head: str = "") -> None:
    """A file's picture, at most SIDE pixels a side; see `show_pixels`."""
    try:
        picture = thumbnail(read(file), SIDE + 8) if file else None
    except ImageError:
        picture = None
    show_pixels(picture, told, head)


def show_pixels(picture: Array | None, told: str, head: str = "", *, wide: int = 0) -> None:
    """A picture over its caption, a word in bold and plain text, which also say it to those who cannot see.

    Pixels are uint8 (H, W, 3) RGB, or None for what cannot be shown; they are drawn `wide` pixels wide if
    that is given.
    """
    words = [*([f"**{plain(head)}**"] if head else []), *([plain(told)] if told else [])]
    with st.container(width=wide or SIDE):
        if picture is None:
            st.caption(" · ".join(["cannot be shown", *words]))
            return
        alt = " ".join(filter(None, (head, told)))
        st.image(picture, " · ".join(words), "stretch" if wide else "content", output_format="PNG", alt=alt)
