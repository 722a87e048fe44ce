"""Parses bytes to a model, and reports the first violation in document order.

pydantic-core parses and validates in one pass. It accepts three things that this contract does not: NaN, Infinity and
`\\u0000` (Postgres cannot store it). A search for them in the bytes costs very little. The document is walked
only if the search finds one (which may be harmless, inside a text), or if pydantic refuses the document.
"""

import json
import math
from collections.abc import Sequence
from typing import Any, NoReturn, Optional, TypeVar

from pydantic import BaseModel, ValidationError

from contracts.errors import OrdersError

Model = TypeVar("Model", bound=BaseModel)
Location = tuple[int | str, ...]
_Place = Optional[tuple["_Place", int | str]]  # noqa: UP045 - a linked list, so that no path is copied


class Violation(OrdersError):
    """The first thing in a document that the contract does not allow. `path` is '' for the whole document.

    `others`: every (path, error) in document order, with the first one, if all were asked for.
    """

    def __init__(self, path: str, error: str, others: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(f"{path}: {error}" if path else error)
        self.path = path
        self.error = error
        self.others = others


def parse(model: type[Model], document: bytes) -> Model:
    """`document` as `model`. Raises Violation."""
    refused: ValidationError | None = None
    try:
        parsed = model.model_validate_json(document)
    except ValidationError as error:
        refused = error
    suspicious = _has_unstorable(document)
    if refused is None and not suspicious:
        return parsed
    if refused is not None:
        first = refused.errors(include_url=False, include_context=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise Violation("", first["msg"])
    loaded = _load(document)
    found = [] if refused is None else in_order(refused, loaded)[:1]
    nul = _first_nul(loaded) if suspicious else None
    if nul is not None:
        found.append((nul, "Input should not contain the character \\u0000"))
    if not found:
        return parsed
    location, text = min(found, key=lambda violation: _position(loaded, violation[0]))
    raise Violation(path_of(location), text)


def refuse_unstorable(document: bytes) -> None:
    """Raises Violation for NaN, Infinity or a NUL character. Leaves all other faults to `parse`."""
    if not _has_unstorable(document):
        return
    try:
        nul = _first_nul(_load(document))
    except (ValueError, RecursionError):  # not JSON, or too deep: `parse` explains it better
        return
    if nul is not None:
        raise Violation(path_of(nul), "Input should not contain the character \\u0000")


def path_of(location: Location) -> str:
    """`('data', 0, 'email')` as `data[0].email`. A last key with a NUL is left out."""
    if location and "\0" in str(location[-1]):
        location = location[:-1]
    parts = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "".join(parts).removeprefix(".")


def in_order(error: ValidationError, loaded: Any) -> list[tuple[Location, str]]:
    """(location, error) of each violation, in the order of the document `loaded`."""
    violations = error.errors(include_url=False, include_context=False, include_input=False)
    if len(violations) > 1:
        violations.sort(key=lambda violation: _position(loaded, violation["loc"]))
    return [
        (violation["loc"], "Field required" if violation["type"] == "missing" else violation["msg"])
        for violation in violations
    ]


def _position(node: Any, location: Location) -> list[float]:
    """A sort key for document order. A missing field comes after everything in its object."""
    position: list[float] = []
    for step in location:
        if isinstance(node, dict) and step in node:
            position.append(list(node).index(str(step)))
            node = node[step]
        elif isinstance(node, list) and isinstance(step, int):
            position.append(step)
            node = node[step]
        else:
            position.append(math.inf)
    return position


def _has_unstorable(document: bytes) -> bool:
    return b"\\u0000" in document or b"NaN" in document or b"Infinity" in document


def _load(document: bytes) -> Any:
    """Raises Violation for NaN and Infinity. Numbers stay text, because Python refuses to convert very long ones."""

    def refuse_constant(constant: str) -> NoReturn:
        raise Violation("", f"Invalid JSON: {constant} is not a JSON number")

    return json.loads(document, parse_int=str, parse_float=str, parse_constant=refuse_constant)


def _first_nul(loaded: Any) -> Location | None:
    """The location of the first text with a NUL, also of a key. Not recursive, because a document may be deep."""
    stack: list[tuple[Any, _Place]] = [(loaded, None)]
    while stack:
        node, place = stack.pop()
        if isinstance(node, str):
            if "\0" in node:
                return _location(place)
        elif isinstance(node, list):
            stack.extend((child, (place, index)) for index, child in reversed(list(enumerate(node))))
        elif isinstance(node, dict):
            for key, child in reversed(node.items()):
                stack += ((child, (place, key)), (key, (place, key)))
    return None


def _location(place: _Place) -> Location:
    steps: list[int | str] = []
    while place is not None:
        place, step = place
        steps.append(step)
    return tuple(reversed(steps))
