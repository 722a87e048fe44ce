"""Nobody can tell whether the short cut or the models read an order, whatever the body is."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts import limits
from ingress import batch
from ingress.fast_path import decode_orders, parse_fast
from support.edits import Edit, edited
from support.orders import an_order
from support.parsing import outcome, parsed

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ["", " ", "\t", "\0", '"', "\\", "ä", "x" * 513]
)
INTEGERS = st.one_of(
    st.integers(0, 30),
    st.integers(limits.INT64_MIN - 2, limits.INT64_MAX + 2),
    st.integers(-(10**40), 10**40),
    st.integers(-(10**20), 10**20).map(str),
    st.sampled_from([0.0, 1.0, 1e2, -0.0, True, "", "01", "-0", " 1", "1.0", "\u0661", None]),
)
AMOUNTS = st.one_of(
    st.integers(-3, 10**32),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(-1, 10**12, places=6).map("{:f}".format),
    st.sampled_from(["0", "-0", "1e5", "1E-3", "+1", ".5", "5.", "00.10", "NaN", "1" * 31, True, None]),
)
PRODUCTS = st.fixed_dictionaries({"product_sku_id": TEXTS, "amount": AMOUNTS, "qty": INTEGERS})
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(["name", "email", "order_id", "refferral_code", "user_id", "more"], TEXTS),
        **dict.fromkeys(["phone", "address"], st.none() | TEXTS),
        "products": st.lists(PRODUCTS, max_size=2),
        **dict.fromkeys(["total_amount", "discount", "total_qty"], INTEGERS),
    },
)
ORDERS = CHANGES.map(lambda changes: {**an_order(), **changes})
FORMATS = st.fixed_dictionaries(
    {
        "ensure_ascii": st.booleans(),
        "indent": st.sampled_from([None, 1]),
        "sort_keys": st.booleans(),
        "separators": st.sampled_from([None, (",", ":"), (" ,\n", "\t:\r")]),
    }
)
PIECES = st.sampled_from(
    [*'"\\{}[]:,019.-+eE \t\n\x00\x1f\x7f\u2028\ud800\udc00ä', "\\u0000", "\\ud800", "\\u00e4", "\\n", "\\/", "null",
     "NaN", "Infinity", "1e400", "1e-400", "0.1", "1.0", "-0", "01", "9" * 19, "9" * 5000, ",,", '""', "//", "\ufeff",
     '"name":"twice",', '"na\\u006de":"n",', '"x":1,', '"data":[],', "{},"],
)  # fmt: skip
EDITS = st.lists(st.tuples(st.integers(0, 600), st.integers(0, 3), PIECES), max_size=3)


def without_short_cut(body: bytes, *, strict: bool) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "decode_orders", lambda _: None)
        return outcome(body, strict=strict)


def require_agreement(body: bytes) -> None:
    for strict in (False, True):
        assert outcome(body, strict=strict) == without_short_cut(body, strict=strict)


def seen(order: dict[str, Any], **layout: Any) -> bool:
    decoded = decode_orders(json.dumps({"data": [order]}, **layout).encode())
    return decoded is not None and parse_fast(decoded[0]) is not None


@given(st.lists(ORDERS, max_size=2), FORMATS, EDITS)
@example([{**an_order(), "products": [{"product_sku_id": "S", "amount": 1.5, "qty": "7"}]}], {}, [])
@example([an_order(), an_order(name=" ")], {}, [])
def test_the_short_cut_reads_what_the_models_read(
    orders: list[dict[str, Any]], layout: dict[str, Any], edits: list[Edit]
) -> None:
    text = edited(json.dumps({"data": orders}, **layout), edits)
    require_agreement(text.encode(errors="surrogatepass"))


@given(st.binary(max_size=40))
def test_bytes_that_are_no_json_are_refused_either_way(noise: bytes) -> None:
    require_agreement(b'{"data":[' + noise + b"]}")
    require_agreement(noise)


SKU = {"product_sku_id": "S", "amount": "1.5", "qty": 1}


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"name": "Zoë Ω"}, {"phone": None}, {"total_amount": "12", "total_qty": "3"}, {"products": []},
        {"products": [{**SKU, "amount": 12.5}]}, {"products": [{**SKU, "amount": 3, "qty": "2"}]},
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "layout", [{}, {"separators": (",", ":")}, {"ensure_ascii": False, "indent": 2}, {"sort_keys": True}]
)
def test_what_partners_send_is_read_by_the_short_cut(changes: dict[str, Any], layout: dict[str, Any]) -> None:
    assert seen(an_order(**changes), **layout)


@pytest.mark.parametrize(
    "order",
    [
        an_order(name=5),
        an_order(name="\0"),
        an_order(name=" "),
        an_order(name='"'),
        {**an_order(), "more": 1},
        an_order(address="x" * limits.ORDER_BYTES_MAX),
        an_order(products=[{**SKU, "amount": 1e29}] * 5_000),
        an_order(products=[{**SKU, "amount": "1.50"}] * (limits.PRODUCTS_PER_ORDER_MAX + 1)),
    ],
    ids=["of another type", "not storable", "invalid", "an escape", "an unknown field", "too large",
         "too large when written out", "too many products"],
)  # fmt: skip
def test_an_order_about_which_there_is_something_to_say_is_left_to_the_models(order: dict[str, Any]) -> None:
    assert not seen(order)


def test_a_body_is_read_whole_if_the_short_cut_leaves_some_of_its_orders() -> None:
    orders = [an_order("1"), an_order("2", name='"'), an_order("3"), an_order("4", name=" "), an_order("5")]
    read = parsed(json.dumps({"data": orders}).encode())
    assert [(order.order_id, order.refused is None) for order in read] == [
        ("1", True), ("2", True), ("3", True), ("4", False), ("5", True),
    ]  # fmt: skip
