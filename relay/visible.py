"""Text that others wrote, made fit to be shown: no character of it commands the terminal."""

from __future__ import annotations

__all__ = ["visible"]


def visible(text: str) -> str:
    """The text with what no eye can see written out: control codes, and what turns a line round."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text
    )
