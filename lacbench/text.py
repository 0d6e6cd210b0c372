"""Strangers' text, made fit to be shown."""


def printable(text: str) -> str:
    """The text with a space for each character that would move a terminal's cursor or change its colours."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def one_line(text: str) -> str:
    """The printable text with single spaces between its words."""
    return " ".join(printable(text).split())
