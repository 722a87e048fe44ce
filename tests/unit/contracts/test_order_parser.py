"""What is wrong with an order, in the order of its document, and what is exact in it."""

import json
from contextlib import suppress
from decimal import Context
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consumer.core.decode import decode
from consumer.core.record import Event, Record
from contracts import limits
from contracts.order import Order
from contracts.order_parser import parse_order, read_values
from contracts.strict_json import Violation
from contracts.strict_order import StrictOrder
from support.installation import headers_of
from support.orders import an_order
from support.parsing import outcome

SKU = {"product_sku_id": "S", "amount": "1", "qty": 1}


def violation_of(document: bytes, model: type[Order] = Order) -> Violation:
    with pytest.raises(Violation) as caught:
        read_values(document, model)
    return caught.value


def dumps(order: object) -> bytes:
    return json.dumps(order).encode()


@pytest.mark.parametrize(
    ("order", "path"),
    [
        (an_order(name=5, email=None), "name"),
        (an_order(email=5, name="\0"), "name"),
        (an_order(email="\0", name=5), "name"),
        (an_order(name=None, products=[{**SKU, "qty": 0.5}]), "products[0].qty"),
        (an_order(products=[SKU, 1], discount=[]), "products[1]"),
        (an_order(products=[{**SKU, "qty": []}, {**SKU, "amount": "\0"}]), "products[0].qty"),
        (an_order(products=[{**SKU, "amount": "\0"}, {**SKU, "qty": []}]), "products[0].amount"),
        (an_order(products={}), "products"),
        ({**an_order(), "more": {"a": ["\0"]}}, "more.a[0]"),
        ([], ""),
        (an_order(products=[SKU] * (limits.PRODUCTS_PER_ORDER_MAX + 1)), "products"),
    ],
    ids=range(11),
)
def test_the_first_violation_in_the_order_of_the_document_is_told(order: object, path: str) -> None:
    violation = violation_of(dumps(order))
    assert (violation.path, violation.others) == (path, ())


def test_strict_tells_everything_in_the_order_of_the_document() -> None:
    order = {"a": 1, **an_order(discount=-1, user_id=None, products=[{**SKU, "qty": 0, "b": 1}, SKU, 5]), "name": "\0"}
    assert [path for path, _ in violation_of(dumps(order), StrictOrder).others] == [
        "a", "name", "products[0].qty", "products[0].b", "products[2]", "discount", "user_id",
    ]  # fmt: skip
    many = violation_of(dumps({**an_order(), **{f"f{n}": 1 for n in range(limits.VIOLATIONS_MAX + 1)}}), StrictOrder)
    assert len(many.others) == limits.VIOLATIONS_MAX


def test_the_texts_of_violations_say_what_json_says() -> None:
    order = dumps(an_order(name=5, phone=[], order_id="x" * 513, products={}, discount=1.5, total_qty="x"))
    assert [error for _, error in violation_of(order, StrictOrder).others] == [
        "Input should be a valid string",
        "Input should be a valid string",
        "String should have at most 512 characters",
        "Input should be a valid array",
        "Input should be a 64-bit integer, as a number or as a string of digits",
        "Input should be a 64-bit integer, as a number or as a string of digits",
    ]


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([None, True, 1, -1, 1.5, 10**30, "", " ", "x", "1", "\0", "x" * 513]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "qty", "\0"]), inner, max_size=2),
    max_leaves=3,
)
PRODUCTS = st.lists(st.dictionaries(st.sampled_from([*SKU, "a"]), VALUES, max_size=4) | VALUES, max_size=3)


@given(
    st.dictionaries(st.sampled_from([*an_order(), "a"]), VALUES, max_size=3), st.none() | PRODUCTS, st.randoms()
)  # fmt: skip
def test_an_order_is_read_exactly_if_nothing_is_wrong_with_it(changes: dict[str, Any], products: Any, rng: Any) -> None:
    order = {**an_order(), **changes} | ({} if products is None else {"products": products})
    names = list(order)
    rng.shuffle(names)
    for model in (Order, StrictOrder):
        with suppress(Violation):
            values = read_values(dumps({name: order[name] for name in names}), model)
            assert Order.model_validate(values) == parse_order(dumps(order))


def read_by_all(amount: str) -> set[str | None]:
    """The amount as it is stored, or None: read by the short cut, by the models, and by the consumer."""
    order = dumps(an_order(name="Ada", products=[{**SKU, "amount": "AMOUNT"}])).replace(b'"AMOUNT"', amount.encode())
    escaped = order.replace(b'"Ada"', b'"A\\n"')
    event = decode(Record(0, 0, 0, b"O-1", order, headers_of("p")))
    found: set[str | None] = {event.order.products[0].amount if isinstance(event, Event) else None}
    for document in (order, escaped):
        orders = outcome(b'{"data":[' + document + b"]}")
        found.add(json.loads(orders[0].canonical)["products"][0]["amount"] if isinstance(orders, list) else None)
    return found


NUMBERS = st.from_regex(r"(0|[1-9][0-9]{0,33})(\.[0-9]{1,33})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)
EXACT = Context(prec=100)


@given(NUMBERS, st.booleans())
@example("12345678901234567890123.45", False)
@example("9007199254740993", False)
@example("0.1000000000000000055511151231257827", False)
def test_an_amount_is_stored_as_it_was_written_or_refused(text: str, as_text: bool) -> None:
    """By every reader, as a number and as a text."""
    (stored,) = read_by_all(f'"{text}"' if as_text else text)
    number = EXACT.create_decimal(text)
    digits = "".join(map(str, number.as_tuple().digits)).strip("0")
    fits = not digits or (len(digits) <= limits.AMOUNT_DIGITS_MAX and number.adjusted() < limits.AMOUNT_DIGITS_MAX)
    if as_text:
        fits = fits and "e" not in text.lower() and len(text) <= 2 * limits.AMOUNT_DIGITS_MAX
    else:
        fits = fits and (not digits or number.adjusted() > -limits.AMOUNT_DIGITS_MAX - 2)
    assert (stored is not None) == fits
    assert stored is None or EXACT.create_decimal(stored) == number


@pytest.mark.parametrize(
    ("amount", "stored"),
    [
        ("12345678901234567890123.45", "12345678901234567890123.45"),
        ("123456789012345678901234567890.5", None),
        ("0e999999999999999999999", "0"),
        ("1e999999999999999999999", None),
        ("1e-400", None),
        ("0." + "0" * 400 + "1e401", "1"),
        ("1" + "0" * 400 + "e-400", "1"),
        ("1" + "0" * 29, "1" + "0" * 29),
        ("1" + "0" * 30, None),
    ],
)
def test_what_a_float_would_round_is_kept_or_refused(amount: str, stored: str | None) -> None:
    assert read_by_all(amount) == {stored}


def test_the_digits_that_are_too_many_are_told() -> None:
    order = dumps(an_order(products=[{**SKU, "amount": "A"}])).replace(b'"A"', b"1" * 29 + b".55")
    assert violation_of(order).error == "Input should have at most 30 digits"
