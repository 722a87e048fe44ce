"""The canonical JSON of a valid order as one pattern: what the ingress writes is told from all else in a single pass.

A match says what parsing, writing again, comparing and `invalid_reason` would say together, in a fifth of their time,
and gives the texts of the fields. What does not match may be a valid order all the same, with an escape in a text or a
number of 19 digits: then the model decides. Property tests hold that the two never disagree.
"""

import re

from contracts.limits import ORDER_ID_CHARS_MAX
from contracts.order import ABOVE_ZERO, Order

# Nothing here gives back what it took (`*+`, `{}+`): a text that does not match costs no more than one that does.
_CHARACTER = r'[^"\\\x00-\x1f]'
_NOT_BLANK_FIRST = r'[^\s"\\\x00-\x1f]'
_TEXT = f'"({_CHARACTER}*+)"'
_FILLED_TEXT = f'"({_NOT_BLANK_FIRST}{_CHARACTER}*+)"'
_ORDER_ID = f'"({_NOT_BLANK_FIRST}{_CHARACTER}{{0,{ORDER_ID_CHARS_MAX - 1}}}+)"'
_COUNT = r"(0|[1-9][0-9]{0,17}+)"
_AMOUNT = f'"(?:0|{ABOVE_ZERO})"'
_PRODUCT = rf'\{{"product_sku_id":"{_NOT_BLANK_FIRST}{_CHARACTER}*+","amount":{_AMOUNT},"qty":[1-9][0-9]{{0,17}}+\}}'
_PRODUCTS = rf"(\[(?:{_PRODUCT}(?:,{_PRODUCT})*+)?\])"
_ORDER = re.compile(
    rf'\{{"name":{_FILLED_TEXT}(?:,"phone":{_TEXT})?(?:,"address":{_TEXT})?,"email":{_FILLED_TEXT},'
    rf'"order_id":{_ORDER_ID},"refferral_code":{_FILLED_TEXT},"user_id":{_FILLED_TEXT},"products":{_PRODUCTS},'
    rf'"total_amount":{_COUNT},"discount":{_COUNT}(?:,"total_qty":{_COUNT})?\}}'
)
FIELDS = tuple(Order.model_fields)
ORDER_ID_FIELD = FIELDS.index("order_id")


def match_canonical(value: bytes) -> re.Match[str] | None:
    """Its groups are the texts of FIELDS, None for one that is not there; None where `value` does not match.

    There is no quote, backslash or control character in any of them but the products, which are JSON.
    """
    try:
        return _ORDER.fullmatch(value.decode())
    except UnicodeDecodeError:
        return None
