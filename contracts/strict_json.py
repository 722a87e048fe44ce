"""JSON bytes to values, with every number exact, in time and memory that grow with the bytes alone.

msgspec parses. This file adds what the contract says beyond JSON: how deep a document may be, and that a text has
nothing that Postgres cannot store.
"""

import re
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Optional

import msgspec

from contracts import violations
from contracts.errors import OrdersError

NESTING_MAX = 201
"""The most arrays and objects inside of each other."""
NAME_CHARS_MAX = 100
"""A path shows so much of a field's name."""

Location = tuple[int | str, ...]
_Place = Optional[tuple["_Place", int | str]]  # noqa: UP045 - a linked list, so that no path is copied

_HALF, _BYTE = "\ufdd0", "\ufdd1"
"""Behind a NUL they mark what `marked` replaced: half of a surrogate pair, or the byte of two hex digits."""
_PAIRED = re.compile(
    rb"(?:[^\\]++|\\(?:[^u]|u(?![dD][89a-fA-F])|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}))*+", re.DOTALL
)
"""Matches all up to the first half of a surrogate pair. Possessive, so that it never looks at a byte again."""


class Violation(OrdersError):
    """The first thing in a document that the contract does not allow. `path` is '' for the whole document.

    `others`: every (path, error) in document order, with the first one, if all were asked for.
    """

    def __init__(self, path: str, error: str, others: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(f"{path}: {error}" if path else error)
        self.path = path
        self.error = error
        self.others = others


class Number(msgspec.Struct, frozen=True, gc=False):
    """A JSON number with a fraction or an exponent, as its text. A float would round it."""

    text: str


_PIECE_BYTES = 64 * 1024
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
"""One level down, or as a signed byte -1."""
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))
_decoder = msgspec.json.Decoder(float_hook=Number)


def load(document: bytes) -> tuple[Any, bool]:
    """The values (dict, list, str, int, Number, bool, None), and whether `first_nul` may find something in them.

    Raises Violation for all that is not JSON. What is JSON but not Unicode is marked with a NUL.
    """
    if document.count(b"[") + document.count(b"{") > NESTING_MAX < _depth(document):
        raise malformed(RecursionError(), document)
    try:
        loaded = _decoder.decode(document)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        readable = marked(document)
        if readable is None:
            raise malformed(error, document) from None
        return load(readable)
    return loaded, rb"\u0000" in document


def malformed(error: Exception, document: bytes) -> Violation:
    """What an error of msgspec means for the writer of `document`."""
    if isinstance(error, RecursionError):
        return Violation("", violations.TOO_DEEP.said(nesting_max=NESTING_MAX))
    if str(error) == "Input data was truncated":
        return Violation("", violations.CUT_OFF.said())
    text, _, at = str(error).removeprefix("JSON is malformed: ").removesuffix(")").rpartition(" (byte ")
    if not at.isdecimal():
        return Violation("", violations.NOT_JSON_EITHER.said(what=error))
    before = document[: int(at)]
    line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
    return Violation("", violations.NOT_JSON.said(what=text, line=line, column=column))


def marked(document: bytes) -> bytes | None:
    """The document with a mark for the first thing in it that is not Unicode. None if there is no such thing.

    `first_nul` finds the mark. So what reads the document also says where this stands.
    """
    paired = _PAIRED.match(document)
    at, end, mark = (paired.end() if paired else 0), 6, _HALF
    try:
        document[:at].decode()
    except UnicodeDecodeError as error:
        at, end, mark = error.start, 0, f"{_BYTE}{document[error.start]:02x}"
    if at == len(document):
        return None
    rest = document[at + end :].decode("latin-1").encode()  # whatever it says: one mark is enough
    readable = rest.replace(rb"\ud", rb"\u1").replace(rb"\uD", rb"\u1")
    return document[:at] + rb"\u0000" + mark.encode() + readable


def first_nul(loaded: Any) -> tuple[Location, str] | None:
    """(location, error) of the first text with a NUL or a mark, also of a key. Not recursive: values may be deep."""
    stack: list[tuple[Any, _Place]] = [(loaded, None)] if _may_have_nul(loaded) else []
    while stack:
        node, place = stack.pop()
        if isinstance(node, str):
            return _location(place), _about(node.partition("\0")[2])
        found: list[tuple[Any, _Place]] = []
        if isinstance(node, list):
            found = [(child, (place, index)) for index, child in enumerate(node) if _may_have_nul(child)]
        else:
            for key, child in node.items():
                if "\0" in key:
                    found.append((key, (place, key)))
                if _may_have_nul(child):
                    found.append((child, (place, key)))
        stack.extend(reversed(found))
    return None


def _may_have_nul(node: Any) -> bool:
    return "\0" in node if isinstance(node, str) else isinstance(node, dict | list) and len(node) > 0


def outside_texts(document: bytes) -> bytes:
    """The JSON without its texts. Piece by piece, because it can have millions of them."""
    plain = document.replace(b"\\\\", b"").replace(b'\\"', b"")
    found, in_text = [], 0
    for start in range(0, len(plain), _PIECE_BYTES):
        parts = plain[start : start + _PIECE_BYTES].split(b'"')
        found.append(b"".join(parts[in_text::2]))
        in_text = (in_text + len(parts) - 1) % 2
    return b"".join(found)


def path_of(location: Location) -> str:
    """`('data', 0, 'email')` as `data[0].email`. A last key with a NUL is left out."""
    if location and "\0" in str(location[-1]):
        location = location[:-1]
    parts = (f"[{step}]" if isinstance(step, int) else f".{step[:NAME_CHARS_MAX]}" for step in location)
    return "".join(parts).removeprefix(".")


def _about(behind_nul: str) -> str:
    if behind_nul.startswith(_HALF):
        return violations.HALF_A_CHARACTER.said()
    if behind_nul.startswith(_BYTE):
        return violations.NOT_UTF_8.said(byte=behind_nul[1:3])
    return violations.NUL_CHARACTER.said()


def _depth(document: bytes) -> int:
    """Of values that are not made yet: an array needs two bytes here, and a hundred as a list."""
    steps = outside_texts(document).translate(_STEPS, _NO_BRACKETS)
    return max(accumulate(memoryview(steps).cast("b")), default=0)


def _location(place: _Place) -> Location:
    steps: list[int | str] = []
    while place is not None:
        place, step = place
        steps.append(step)
    return tuple(reversed(steps))
