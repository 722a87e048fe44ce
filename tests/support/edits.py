"""Texts that were changed anywhere, for property tests of what reads them."""

from collections.abc import Iterable

Edit = tuple[int, int, str]
"""Where, taken modulo the text's length; how many characters go; what comes there."""


def edited(text: str, edits: Iterable[Edit]) -> str:
    for place, removed, piece in edits:
        place %= len(text) + 1
        text = text[:place] + piece + text[place + removed :]
    return text
