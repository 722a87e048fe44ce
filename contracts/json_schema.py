"""What JSON Schema says of the order's own types. Two modes, as pydantic names them: `validation` is what a writer may
send, `serialization` the canonical spelling that readers get.

The validators are code, and this is said beside them; `tests/unit/deploy/test_published_schemas.py` holds that both
agree.
What no JSON Schema can say (bytes of an order, digits of an amount, 64 bits of a digit string) is in a description.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

from contracts import limits

JsonSchema = dict[str, Any]

NO_NUL = "^[^\\u0000]*$"
NOT_BLANK = "^[^\\u0000]*[^\\s\\u0000][^\\u0000]*$"
_DIGITS_MAX = 40
_DIGITS_FROM = {
    0: f"^(?:-0{{1,{_DIGITS_MAX}}}|[0-9]{{1,{_DIGITS_MAX}}})$",
    1: f"^(?=.{{1,{_DIGITS_MAX}}}$)0*[1-9][0-9]*$",
}


@dataclass(frozen=True, eq=False)  # typing hashes annotations
class Says:
    """Stands among a type's annotations; what the last one says counts."""

    validation: JsonSchema
    serialization: JsonSchema

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        said = self.serialization if handler.mode == "serialization" else self.validation
        return deepcopy(said)


@dataclass(frozen=True, eq=False)  # typing hashes annotations
class SaysToo:
    """As `Says`, beside what pydantic finds itself (a text's length)."""

    said: JsonSchema

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        return {**handler(core_schema), **self.said}


def text() -> SaysToo:
    return SaysToo({"pattern": NO_NUL})


def filled_text() -> SaysToo:
    """Something besides white space."""
    return SaysToo({"pattern": NOT_BLANK})


def integer_from(minimum: int) -> Says:
    """A 64-bit integer that is at least 0, or 1."""
    number = {"type": "integer", "minimum": minimum, "maximum": limits.INT64_MAX}
    digits = {"type": "string", "pattern": _DIGITS_FROM[minimum]}
    about = f"From {minimum} to {limits.INT64_MAX}: a number without fraction and exponent, or a string of digits."
    return Says({"anyOf": [number, digits], "description": about}, number)


def amount() -> Says:
    """A decimal that is not negative."""
    most = limits.AMOUNT_DIGITS_MAX
    number = {"type": "number", "minimum": 0, "exclusiveMaximum": 10**most}
    digits = {"type": "string", "pattern": r"^(?:-0+(?:\.0+)?|[0-9]+(?:\.[0-9]+)?)$", "maxLength": 2 * most}
    whole = f"[1-9][0-9]{{0,{most - 1}}}"
    about = (
        f"A decimal of at most {most} digits, not counting zeros before and after. A JSON number with a point or an "
        "exponent is read as a 64-bit float: more than 17 digits need a string."
    )
    canonical = {
        "type": "string",
        "pattern": rf"^(?:0|{whole}|(?:0|{whole})\.[0-9]*[1-9])$",
        "maxLength": 2 * most + 2,
        "description": f"A decimal of at most {most} digits, without exponent, and without zeros that say nothing.",
    }
    return Says({"anyOf": [number, digits], "description": about}, canonical)
