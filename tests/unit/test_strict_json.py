"""The structure rules that need no server; each of them as bytes stands in e2e/test_status_table.py."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from order_upsert.contracts.order import Order
from order_upsert.contracts.strict_json import Violation, parse, path_of
from order_upsert.ingress.body import OrderBatch
from support.orders import an_order


def test_paths_are_written_as_in_the_documentation() -> None:
    assert path_of(("data", 0, "email")) == "data[0].email"
    assert path_of(("data", 0, "products", 12, "qty")) == "data[0].products[12].qty"
    assert path_of(()) == ""


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "a\\\\u0000b"])
def test_what_only_looks_forbidden_is_allowed_in_a_text(text: str) -> None:
    document = json.dumps(an_order()).replace("Ada", text).encode()
    assert parse(Order, document).name == json.loads(f'"{text}"')


@pytest.mark.parametrize(
    ("document", "path", "error"),
    [
        (b'{"data": NaN}', "", "Invalid JSON: NaN is not a JSON number"),
        (b'{"data": [], "x": [1, -Infinity]}', "", "Invalid JSON: -Infinity is not a JSON number"),
        (b'{"data": [], "x": {"y": ["\\u0000"]}}', "x.y[0]", "Input should not contain the character \\u0000"),
        (b'{"data": [], "\\u0000": 1}', "", "Input should not contain the character \\u0000"),
    ],
)
def test_what_postgres_cannot_store_is_refused_wherever_it_stands(document: bytes, path: str, error: str) -> None:
    with pytest.raises(Violation) as caught:
        parse(OrderBatch, document)
    assert (caught.value.path, caught.value.error) == (path, error)


def test_the_violation_of_a_field_that_is_there_comes_before_one_that_is_missing() -> None:
    order = an_order(email=None, name=5)
    with pytest.raises(Violation) as caught:
        parse(OrderBatch, json.dumps({"data": [order]}).encode())
    assert caught.value.path == "data[0].name"


def violation_of(document: bytes) -> Violation | None:
    try:
        parse(OrderBatch, document)
    except Violation as violation:
        return violation
    return None


@given(st.binary(max_size=200))
def test_any_bytes_are_an_order_or_a_violation(document: bytes) -> None:
    violation = violation_of(document)
    assert violation is None or violation.error


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), lambda c: st.lists(c, max_size=3)))
def test_any_json_is_an_order_or_a_violation(value: object) -> None:
    document = json.dumps({"data": [an_order(products=value)]}).encode()
    violation = violation_of(document)
    assert violation is None or violation.path in ("", "data[0].products") or "data[0].products[" in violation.path
