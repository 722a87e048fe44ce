"""The pattern of canonical orders agrees with the model for every text."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consumer.core.row_text import canonical_text, text_of
from contracts import limits
from contracts.canonical import FIELDS, match_canonical
from contracts.order import Order, invalid_reason
from contracts.order_parser import parse_order
from support.edits import Edit, edited
from support.orders import an_order

USUAL = {"qty": 2, "amount": "12.5", "product_sku_id": "S"}
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
COUNTS = st.one_of(st.integers(0, 20), st.integers(limits.INT64_MIN, limits.INT64_MAX))
AMOUNTS = st.one_of(st.integers(-3, 10**15).map(str), st.decimals(-1, 10**12, places=6).map("{:f}".format))
PRODUCTS = st.fixed_dictionaries({"product_sku_id": TEXTS, "amount": AMOUNTS, "qty": COUNTS})
ORDERS = st.fixed_dictionaries(
    {
        **dict.fromkeys(["name", "email", "order_id", "refferral_code", "user_id"], TEXTS),
        **dict.fromkeys(["phone", "address"], st.none() | TEXTS),
        "products": st.lists(PRODUCTS, max_size=3),
        **dict.fromkeys(["total_amount", "discount"], COUNTS),
        "total_qty": st.none() | COUNTS,
    }
)


def canonical(**changes: Any) -> bytes:
    return Order.model_validate(an_order(**changes)).canonical()


def require_agreement(value: bytes) -> None:
    """If the pattern matches, the model accepts the text. Without a match, nothing follows."""
    match = match_canonical(value)
    if match is not None:
        order = parse_order(value)
        assert order.canonical() == value
        assert invalid_reason(order) is None
        assert canonical_text(value, order.order_id) == text_of(order)
        assert canonical_text(value, f"{order.order_id}x") is None


@given(ORDERS)
def test_what_matches_is_an_order_that_is_valid_and_canonical(sent: dict[str, Any]) -> None:
    require_agreement(Order.model_validate(sent).canonical())


PIECES = st.sampled_from(
    [*'"\\{}[]:,0123456789.-+eE \t\n\x1f\x7f\x85\xa0\u2028\ud800ä', "\\u0000", "\\n", "null", "NaN", ",,", '""', "00",
     ',"phone":"1"', ',"x":1', '{"product_sku_id":"S","amount":"1","qty":1}', "9" * 19],
)  # fmt: skip


@given(ORDERS, st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3), PIECES), min_size=1, max_size=3))
@example(an_order(name="Ada"), [(9, 0, "\x1c")])
def test_a_changed_text_matches_only_if_it_is_still_a_canonical_order(sent: dict[str, Any], edits: list[Edit]) -> None:
    text = edited(Order.model_validate(sent).canonical().decode(), edits)
    require_agreement(text.encode(errors="surrogatepass"))


@pytest.mark.parametrize(
    "changes",
    [{}, {"phone": None, "address": None, "total_qty": None}, {"products": []}, {"products": [USUAL] * 5},
     {"name": "Zoë Ω", "address": "  ", "phone": ""}, {"total_amount": 10**18 - 1}, {"order_id": "x" * 512},
     {"products": [{**USUAL, "amount": amount} for amount in ("0", "1", "0.00001", "999999999999999", "1.5")]}],
)  # fmt: skip
def test_a_usual_order_matches(changes: dict[str, Any]) -> None:
    value = canonical(**changes)
    assert match_canonical(value) is not None
    require_agreement(value)


@pytest.mark.parametrize(
    "changes",
    [{"name": 'a "b"'}, {"name": "tab\t"}, {"name": " "}, {"user_id": ""}, {"email": "\xa0"}, {"discount": -1},
     {"total_qty": -1}, {"products": [{**USUAL, "qty": 0}]}, {"products": [{**USUAL, "amount": "-1"}]},
     {"products": [{**USUAL, "product_sku_id": ""}]}, {"total_amount": 10**18}],
)  # fmt: skip
def test_what_is_invalid_or_has_to_be_escaped_is_left_to_the_model(changes: dict[str, Any]) -> None:
    assert match_canonical(canonical(**changes)) is None


def test_a_text_that_is_not_canonical_is_left_to_the_model() -> None:
    value = canonical()
    for other in (
        value + b" ", b" " + value, value[:-1], b"", b"\xff", value.replace(b'"Ada"', b'"A\xff"'),
        value.replace(b'"discount":0', b'"discount":00'), value.replace(b'"discount":0', b'"discount":"0"'),
        value.replace(b'"12.5"', b'"12.50"'), value.replace(b'"12.5"', b'"-0"'), value.replace(b'"phone":"1",', b""),
        value.replace(b'"O-1"', b'"' + b"x" * 513 + b'"'),
    ):  # fmt: skip
        if other != canonical(phone=None):
            assert match_canonical(other) is None


def test_fields_are_those_of_the_model() -> None:
    match = match_canonical(canonical(phone=None))
    assert match is not None
    assert dict(zip(FIELDS, match.groups("absent"), strict=True)) == {
        "name": "Ada", "phone": "absent", "address": "Main Street 1", "email": "[email protected]", "order_id": "O-1",
        "refferral_code": "R", "user_id": "U", "products": '[{"product_sku_id":"S","amount":"12.5","qty":2}]',
        "total_amount": "2500", "discount": "0", "total_qty": "2",
    }  # fmt: skip
