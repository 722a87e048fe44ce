"""The structure rules that need no server. e2e/test_status_table.py has each of them as bytes."""

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import limits
from contracts.order import Order
from contracts.strict_json import Violation, parse, path_of
from ingress.body import OrderBatch, parse_body
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


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ([an_order(name="\0"), an_order(name=5)], "data[0].name"),
        ([an_order(name=5), an_order(name="\0")], "data[0].name"),
        ([an_order(), an_order(email=5, name="\0")], "data[1].name"),
        ([an_order(), an_order(email="\0", name=5)], "data[1].name"),
    ],
)
def test_the_first_violation_is_reported_by_every_check(document: list[object], path: str) -> None:
    violation = violation_of(json.dumps({"data": document}).encode())
    assert violation is not None
    assert violation.path == path


def test_an_order_that_is_too_large_is_reported_at_its_path() -> None:
    """Also if it is skipped as invalid. Ignored fields do not count."""
    large = an_order(address="x" * limits.ORDER_BYTES_MAX)
    for orders, path in (
        ([large, an_order(name=5)], "data[0]"),
        ([an_order(name=5), large], "data[0].name"),
        ([an_order(), {**large, "name": " "}], "data[1]"),
    ):
        with pytest.raises(Violation) as caught:
            parse_body(json.dumps({"data": orders}).encode(), strict=False)
        assert caught.value.path == path
    with pytest.raises(Violation) as caught:
        parse_body(json.dumps({"data": [large, an_order(name=5)]}).encode(), strict=True)
    assert [path for path, _ in caught.value.others] == ["data[0]", "data[1].name"]
    body = json.dumps({"data": [{**an_order(), "more": "x" * limits.ORDER_BYTES_MAX}]}).encode()
    assert len(parse_body(body, strict=False)) == 1


# Twice DENSE_VALUES: a body with fewer values is read as it is.
DEEP = b'{"data":[],"x":' + b"[" * 150 + b'"a",' * 50_000 + b'"\\u0000"' + b"]" * 150 + b"}"
MANY = b",".join([b"{}"] * 50_000)
TOO_MANY = b",".join([MANY] * 4)


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (DEEP, "x" + "[0]" * 149 + "[50000]"),
        (b'{"data":[{"x":[' + MANY + b"]}]}", "data[0].name"),
        (b'{"data":[{"name":[' + MANY + b"]}]}", "data[0].name"),
        (b'{"data":[{"x":[' + MANY + b",NaN]}]}", ""),
        (b'{"data":[{"x":[' + MANY + b',"\\u0000"]}]}', "data[0].x[50000]"),
        (b'{"data":[[' + MANY + b"]]}", "data[0]"),
        (b'{"data":{"x":[' + MANY + b"]}}", "data"),
        (b"[" + MANY + b"]", ""),
        (b'{"data":[' + MANY + b",", ""),
        (b'{"data":[],"x":[' + TOO_MANY + b"]}", ""),
    ],
    ids=range(10),
)
def test_a_body_with_very_many_values_costs_little(document: bytes, path: str) -> None:
    """pydantic puts a copy of an order into the error of each of its fields: 1.4 GB for one request of 4 MiB."""
    tracemalloc.start()
    with pytest.raises(Violation) as caught:
        parse_body(document, strict=False)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.path == path
    assert peak_bytes < 20_000_000


def test_what_looks_like_many_values_in_a_text_is_a_text() -> None:
    body = json.dumps({"data": [an_order(f"T-{n}", address='{[,"\\' * 30_000) for n in range(8)]}).encode()
    assert len(parse_body(body, strict=False)) == 8


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_a_dense_body_is_read_like_any_other(wrong: int, strict: bool) -> None:
    """What is left out of the body changes neither the orders nor the first violation."""
    products = [{"product_sku_id": "S", "amount": "1", "qty": 1}] * 3000
    orders = [an_order("a", products=products), an_order("b", products=products), an_order("c", products=[])]
    if wrong:
        orders[wrong] = {**orders[wrong], "name": {"x": [1] * 9}, "user_id": 7}

    def read(more: list[object]) -> object:
        try:
            return [
                order.canonical for order in parse_body(json.dumps({"data": orders + more}).encode(), strict=strict)
            ][:3]
        except Violation as violation:
            return violation.path, violation.error

    assert read([]) == read([an_order(f"m-{n}", products=products) for n in range(3)])
