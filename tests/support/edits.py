"""Random changes of a text, for property tests of its readers."""

from collections.abc import Iterable

Edit = tuple[int, int, str]
"""The position (modulo the length of the text), how many characters are removed, and what replaces them."""


def edited(text: str, edits: Iterable[Edit]) -> str:
    for place, removed, piece in edits:
        place %= len(text) + 1
        text = text[:place] + piece + text[place + removed :]
    return text
