"""The fast path reads what the models read, whatever the body is."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts import limits
from ingress.body import _bounded, _parse
from ingress.fast_path import parse_fast
from support.edits import Edit, edited
from support.orders import an_order

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


def require_agreement(body: bytes) -> None:
    """Compares the fast path with the models. If the fast path sees nothing, the models read the body anyway."""
    seen = parse_fast(body)
    if seen is not None:
        assert seen == _parse(_bounded(body))


@given(st.lists(ORDERS, max_size=2), FORMATS, EDITS)
@example([{**an_order(), "products": [{"product_sku_id": "S", "amount": 1.5, "qty": "7"}]}], {}, [])
@example([an_order(), an_order(name=" ")], {}, [])
def test_the_fast_path_reads_what_the_models_read(
    orders: list[dict[str, Any]], layout: dict[str, Any], edits: list[Edit]
) -> None:
    text = edited(json.dumps({"data": orders}, **layout), edits)
    require_agreement(text.encode(errors="surrogatepass"))


@given(st.binary(max_size=40))
def test_bytes_that_are_no_json_are_not_seen(noise: bytes) -> None:
    require_agreement(b'{"data":[' + noise + b"]}")
    require_agreement(noise)


SKU = {"product_sku_id": "S", "amount": "1.5", "qty": 1}


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"name": "Zoë Ω"}, {"name": 'a "b" \\ c'}, {"phone": None}, {"total_amount": "12"}, {"name": " "},
        {"products": [{**SKU, "amount": 12.5}]}, {"products": [{**SKU, "amount": 3, "qty": "2"}]}, {"products": []},
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "layout", [{}, {"separators": (",", ":")}, {"ensure_ascii": False, "indent": 2}, {"sort_keys": True}]
)
def test_what_partners_send_is_read_by_the_fast_path(changes: dict[str, Any], layout: dict[str, Any]) -> None:
    body = json.dumps({"data": [an_order(**changes), an_order("2")]}, **layout).encode()
    seen = parse_fast(body)
    assert seen is not None
    assert seen == _parse(_bounded(body))


@pytest.mark.parametrize(
    "orders",
    [
        [an_order(name=5)],
        [an_order(name="\0")],
        [{**an_order(), "more": 1}],
        [an_order(address="x" * limits.ORDER_BYTES_MAX)],
        [an_order(products=[{**SKU, "amount": 1e29}] * 5_000)],
        [an_order(str(number)) for number in range(limits.ORDERS_PER_REQUEST_MAX + 1)],
    ],
    ids=["of another type", "not storable", "an unknown field", "too large", "too large when written out", "too many"],
)
def test_what_the_models_must_read_is_left_to_them(orders: list[dict[str, Any]]) -> None:
    assert parse_fast(json.dumps({"data": orders}).encode()) is None
