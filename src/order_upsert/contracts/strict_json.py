"""Bytes to a model, with the first violation in document order.

pydantic-core parses and validates in one pass. It accepts three things that this contract does not: NaN, Infinity and
`\\u0000` (Postgres cannot store it). All three are looked for in the bytes, which costs next to nothing; only where one
is found (it may stand harmlessly inside a text) is the document walked.
"""

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from order_upsert.contracts.errors import OrdersError

Model = TypeVar("Model", bound=BaseModel)
Location = tuple[int | str, ...]


class Violation(OrdersError):
    """The first thing in a document that the contract does not allow; `path` is '' for the whole document.

    `others`: every (path, error) in document order, the first one among them, where all were asked for.
    """

    def __init__(self, path: str, error: str, others: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(f"{path}: {error}" if path else error)
        self.path = path
        self.error = error
        self.others = others


def parse(model: type[Model], document: bytes) -> Model:
    """`document` as `model`. Raises Violation."""
    if b"\\u0000" in document or b"NaN" in document or b"Infinity" in document:
        _refuse_unstorable(document)
    try:
        return model.model_validate_json(document)
    except ValidationError as error:
        raise _first_violation(error, document) from None


def path_of(location: Location) -> str:
    """`('data', 0, 'email')` as `data[0].email`."""
    parts = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "".join(parts).removeprefix(".")


def in_order(error: ValidationError, loaded: Any) -> list[tuple[Location, str]]:
    """Where each violation is and what it says, in the order of the document `loaded`."""
    violations = error.errors(include_url=False, include_context=False, include_input=False)
    if len(violations) > 1:
        violations.sort(key=lambda violation: _position(loaded, violation["loc"]))
    return [
        (violation["loc"], "Field required" if violation["type"] == "missing" else violation["msg"])
        for violation in violations
    ]


def _first_violation(error: ValidationError, document: bytes) -> Violation:
    location, text = in_order(error, _load(document) if error.error_count() > 1 else None)[0]
    return Violation(path_of(location), text)


def _position(node: Any, location: Location) -> list[float]:
    """Where a violation stands in the document: a missing field comes after everything that its object has."""
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


def _load(document: bytes, **hooks: Any) -> Any:
    # Numbers stay text: they are not looked at, and Python refuses to convert very long ones.
    return json.loads(document, parse_int=str, parse_float=str, **hooks)


def _refuse_unstorable(document: bytes) -> None:
    """Raises Violation for NaN, Infinity or a NUL character; leaves every other fault to pydantic."""

    def refuse_constant(constant: str) -> NoReturn:
        raise Violation("", f"Invalid JSON: {constant} is not a JSON number")

    try:
        for location, text in _texts(_load(document, parse_constant=refuse_constant), ()):
            if "\0" in text:
                raise Violation(path_of(location), "Input should not contain the character \\u0000")
    except (ValueError, RecursionError):  # not JSON, or too deep: pydantic refuses both, and says so better
        return


def _texts(node: Any, location: Location) -> Iterator[tuple[Location, str]]:
    if isinstance(node, str):
        yield location, node
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from _texts(child, (*location, index))
    elif isinstance(node, dict):
        for key, child in node.items():
            yield location, key
            yield from _texts(child, (*location, key))
