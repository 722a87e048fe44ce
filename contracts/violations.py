"""What is said of a body that the contract does not allow: the entries of the catalogue of errors with status 400.

Some texts are pydantic's own; a property test holds that no other text is ever said. Reasons of invalid data are here
too: such an order is not refused but skipped.
"""

from contracts import limits
from contracts.problem import Problem

_AGAIN = "Correct the body and send the request again. Nothing of it was applied."


def _violation(name: str, text: str, meaning: str, advice: str = _AGAIN) -> Problem:
    return Problem(name, 400, text, meaning, advice)


FIELD_REQUIRED = _violation(
    "field-required",
    "Field required",
    "The field that `path` names is missing. A required field that is `null` is of the wrong type instead.",
)
NOT_AN_OBJECT = _violation(
    "not-an-object",
    "Input should be an object",
    "`path` names a JSON value that is no object: the body itself, an order, or a product.",
)
NOT_AN_ARRAY = _violation(
    "not-an-array", "Input should be a valid array", "`data` or `products` is not a list, even of one item."
)
NOT_A_STRING = _violation(
    "not-a-string",
    "Input should be a valid string",
    "The field is a number, `null`, or something else that is not text.",
    "Put the value into quotation marks, or leave an optional field out.",
)
TOO_MANY_ITEMS = _violation(
    "too-many-items",
    "List should have at most {items_max} items",
    f"A request has at most {limits.ORDERS_PER_REQUEST_MAX} orders, and an order at most "
    f"{limits.PRODUCTS_PER_ORDER_MAX} products.",
    "Send the orders in several requests.",
)
TOO_MANY_CHARACTERS = _violation(
    "too-many-characters",
    f"String should have at most {limits.ORDER_ID_CHARS_MAX} characters",
    "The `order_id` is too long to be a key.",
    "Choose a shorter `order_id`, and keep to it.",
)
NOT_AN_INTEGER = _violation(
    "not-an-integer",
    "Input should be a 64-bit integer, as a number or as a string of digits",
    "The value has a fraction, an exponent or other characters, or needs more than 64 bits.",
)
NOT_A_DECIMAL = _violation(
    "not-a-decimal",
    "Input should be a decimal, as a number or as a string of digits",
    "The amount has other characters, as a comma or a currency.",
    'Write `12.5` or `"12.5"`.',
)
TOO_MANY_DIGITS = _violation(
    "too-many-digits",
    "Input should have at most {digits} digits",
    f"An amount is kept exactly, with up to {limits.AMOUNT_DIGITS_MAX} digits. One with more would have to be rounded.",
    "Round the amount yourself, as your books have it.",
)
UNKNOWN_FIELD = _violation(
    "unknown-field",
    "Extra inputs are not permitted",
    "Only with `Prefer: handling=strict`: the contract has no such field.",
    "Look for a typing error in the name, or leave the field out.",
)
INVALID_DATA = _violation(
    "invalid-data",
    "Input {what}: such an order is skipped",
    "Only with `Prefer: handling=strict`: without it, the order would be skipped as invalid data.",
    "Correct the value. `what` is `is blank`, `is negative` or `is below 1`.",
)
ORDER_TOO_LARGE = _violation(
    "order-too-large",
    f"An order should have at most {limits.ORDER_BYTES_MAX} bytes",
    "The order is too large for Kafka, without its white space and unknown fields.",
    "Shorten its texts, or split the order.",
)
NUL_CHARACTER = _violation(
    "nul-character",
    "Input should not contain the character \\u0000",
    "Postgres cannot store this character, so it is refused wherever it stands.",
    "Remove the character.",
)
HALF_A_CHARACTER = _violation(
    "half-a-character",
    "Input should not contain half of a surrogate pair: as JSON escapes, an emoji has two",
    "A text was cut off in the middle of a character.",
    "Cut texts by characters, not by UTF-16 units.",
)
NOT_UTF_8 = _violation(
    "not-utf-8",
    "Input should be UTF-8, and has the byte 0x{byte} in a wrong place: it is of Latin-1, or was cut off",
    "JSON is UTF-8. `path` names the text with the first wrong byte.",
    "Encode the body as UTF-8.",
)
TOO_DEEP = _violation(
    "too-deep",
    "Invalid JSON: it should have at most {nesting_max} arrays and objects inside of each other",
    "The body is nested deeper than any order.",
)
CUT_OFF = _violation(
    "cut-off",
    "Invalid JSON: it ends too early",
    "The body is empty, or was cut off.",
    "Send the whole body, and a `Content-Length` that fits it.",
)
NOT_JSON = _violation(
    "not-json",
    "Invalid JSON: {what} at line {line} column {column}",
    "The body is not JSON. The text says where it stops to be.",
)
NOT_JSON_EITHER = _violation(
    "not-json-either", "Invalid JSON: {what}", "The body is not JSON, and the parser cannot say where it stops to be."
)
VIOLATIONS = [value for value in vars().values() if isinstance(value, Problem)]
"""`NOT_JSON_EITHER` stands last, because its text also fits others."""

BLANK, NEGATIVE, BELOW_1 = "is blank", "is negative", "is below 1"
REASONS = {
    f"{{field}} {BLANK}": "A required text is empty, or has only white space.",
    f"{{field}} {NEGATIVE}": "An amount, a total, a discount or a quantity is below zero.",
    f"{{field}} {BELOW_1}": "A product's `qty` is zero or less.",
}
"""What `reason` says of an order that is skipped as invalid, and what it means."""
