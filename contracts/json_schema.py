"""JSON Schemas of the order's own types, in pydantic's two modes.

`validation` is what a writer may send. `serialization` is the canonical spelling that readers get. The validators are
code, so their schemas are written by hand here. `tests/unit/deploy/test_published_schemas.py` holds that both agree.
Descriptions say what JSON Schema cannot: the bytes of an order, the digits of an amount, the 64 bits of a digit string.
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
class SchemaIs:
    """An annotation with the schemas of a type. They replace the schema that pydantic derives; the last one counts."""

    validation: JsonSchema
    serialization: JsonSchema

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        return deepcopy(self.serialization if handler.mode == "serialization" else self.validation)


@dataclass(frozen=True, eq=False)  # typing hashes annotations
class SchemaHas:
    """An annotation that adds keywords to the schema that pydantic derives (such as a text's length)."""

    added: JsonSchema

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        return {**handler(core_schema), **self.added}


def text() -> SchemaHas:
    return SchemaHas({"pattern": NO_NUL})


def filled_text() -> SchemaHas:
    """A text that is not blank."""
    return SchemaHas({"pattern": NOT_BLANK})


def integer_from(minimum: int) -> SchemaIs:
    """A 64-bit integer that is at least 0, or 1."""
    number = {"type": "integer", "minimum": minimum, "maximum": limits.INT64_MAX}
    digits = {"type": "string", "pattern": _DIGITS_FROM[minimum]}
    about = f"From {minimum} to {limits.INT64_MAX}: a number without fraction and exponent, or a string of digits."
    return SchemaIs({"anyOf": [number, digits], "description": about}, number)


def any_integer() -> JsonSchema:
    """A 64-bit integer as HTTP takes it: one that is too small for its field is counted as invalid, not refused."""
    number = {"type": "integer", "minimum": limits.INT64_MIN, "maximum": limits.INT64_MAX}
    digits = {"type": "string", "pattern": "^-?0{0,20}[0-9]{1,18}$"}
    about = "A number without fraction and exponent, or a string of digits; either has 64 bits at most."
    return {"anyOf": [number, digits], "description": about}


def any_amount() -> JsonSchema:
    """A decimal as HTTP takes it."""
    most = limits.AMOUNT_DIGITS_MAX
    number = {"type": "number", "exclusiveMinimum": -(10**most), "exclusiveMaximum": 10**most}
    digits = {"type": "string", "pattern": rf"^-?(?:[0-9]{{1,{most}}}|(?=.{{3,{most + 1}}}$)[0-9]+\.[0-9]+)$"}
    about = f"A decimal of at most {most} digits, as a number or as a string. It is read from its text, never rounded."
    return {"anyOf": [number, digits], "description": about}


def amount() -> SchemaIs:
    """A decimal that is not negative."""
    most = limits.AMOUNT_DIGITS_MAX
    number = {"type": "number", "minimum": 0, "exclusiveMaximum": 10**most}
    digits = {"type": "string", "pattern": r"^(?:-0+(?:\.0+)?|[0-9]+(?:\.[0-9]+)?)$", "maxLength": 2 * most}
    whole = f"[1-9][0-9]{{0,{most - 1}}}"
    about = (
        f"A decimal of at most {most} digits, not counting zeros before and after. A JSON number is read from its "
        "text, and never rounded."
    )
    canonical = {
        "type": "string",
        "pattern": rf"^(?:0|{whole}|(?:0|{whole})\.[0-9]*[1-9])$",
        "maxLength": 2 * most + 2,
        "description": f"A decimal of at most {most} digits, without exponent, and without zeros that say nothing.",
    }
    return SchemaIs({"anyOf": [number, digits], "description": about}, canonical)
