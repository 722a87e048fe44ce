import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from contracts import limits
from contracts.order import Amount, Order, canonical_amount, invalid_reason
from contracts.order_parser import parse_order
from support.orders import an_order

AMOUNT = TypeAdapter(Amount)
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**20), max_value=10**20)


def order(**changes: Any) -> Order:
    return Order.model_validate(an_order(**changes))


@pytest.mark.parametrize(
    ("sent", "canonical"),
    [
        ("1500", "1500"), (1500, "1500"), (1500.0, "1500"), ("1500.00", "1500"), ("007.50", "7.5"), ("0.10", "0.1"),
        ("-0", "0"), ("-0.00", "0"), (-0.0, "0"), (1e3, "1000"), (1e-7, "0.0000001"), (12.5, "12.5"), ("-3.10", "-3.1"),
        (0.1, "0.1"), ("9" * 30, "9" * 30), ("0." + "1" * 30, "0." + "1" * 30),
    ],
)  # fmt: skip
def test_an_amount_has_one_spelling(sent: object, canonical: str) -> None:
    assert canonical_amount(sent) == canonical


@pytest.mark.parametrize(
    "sent",
    ["", " 1", "1 ", "1,5", "1.", ".5", "1e3", "+1", "--1", "٣", "x", "NaN", "Infinity", "9" * 31, "0." + "1" * 31,
     10**30, 1e31, float("inf"), float("nan"), True, None, [], {}, "1" * 1000],
)  # fmt: skip
def test_what_is_not_a_decimal_is_refused(sent: object) -> None:
    with pytest.raises(ValidationError):
        AMOUNT.validate_python(sent)


@given(DECIMALS)
def test_a_canonical_amount_keeps_its_value_and_does_not_change_again(value: Decimal) -> None:
    canonical = canonical_amount(f"{value:f}")
    assert Decimal(canonical) == value
    assert canonical_amount(canonical) == canonical
    assert canonical_amount("00" + canonical if not canonical.startswith("-") else canonical) == canonical


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e25, max_value=1e25))
def test_a_float_becomes_a_text_that_gives_the_float_again(value: float) -> None:
    try:
        canonical = canonical_amount(value)
    except PydanticCustomError:
        assert 0 < abs(value) < 1e-12  # too many digits behind the point
    else:
        assert float(canonical) == value


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
INTEGERS = st.integers(limits.INT64_MIN, limits.INT64_MAX)
AS_NUMBER_OR_STRING = INTEGERS.flatmap(lambda number: st.sampled_from([number, str(number)]))
PRODUCTS = st.lists(
    st.fixed_dictionaries(
        {"product_sku_id": TEXT, "amount": DECIMALS.map(lambda value: f"{value:f}"), "qty": AS_NUMBER_OR_STRING}
    ),
    max_size=3,
)
ORDERS = st.fixed_dictionaries(
    {
        "name": TEXT, "email": TEXT, "order_id": TEXT, "refferral_code": TEXT, "user_id": TEXT, "products": PRODUCTS,
        "total_amount": AS_NUMBER_OR_STRING, "discount": AS_NUMBER_OR_STRING,
    },
    optional={"phone": st.none() | TEXT, "address": st.none() | TEXT, "total_qty": st.none() | AS_NUMBER_OR_STRING},
)  # fmt: skip


@given(ORDERS)
def test_canonical_json_is_a_fixed_point_of_reading_and_writing(sent: dict[str, Any]) -> None:
    read = parse_order(json.dumps(sent).encode())
    canonical = read.canonical()
    assert parse_order(canonical) == read
    assert parse_order(canonical).canonical() == canonical
    assert list(json.loads(canonical)) == [name for name in Order.model_fields if name in json.loads(canonical)]
    assert None not in json.loads(canonical).values()


def test_canonical_json_as_bytes() -> None:
    assert (
        order(phone=None, total_amount="2500", name="Zoë").canonical()
        == (
            '{"name":"Zoë","address":"Main Street 1","email":"[email protected]","order_id":"O-1","refferral_code":"R",'
            '"user_id":"U","products":[{"product_sku_id":"S","amount":"12.5","qty":2}],"total_amount":2500,"discount":0,'
            '"total_qty":2}'
        ).encode()
    )


def a_product(**changes: Any) -> list[dict[str, Any]]:
    return [{"product_sku_id": "S", "amount": "1", "qty": 1, **changes}]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"products": []}, None),
        ({"phone": "", "address": " "}, None),
        ({"total_amount": 1, "discount": 999}, None),  # totals are not checked: the published sample does not add up
        ({"name": ""}, "name is blank"),
        ({"email": " \t\u00a0"}, "email is blank"),
        ({"order_id": ""}, "order_id is blank"),
        ({"refferral_code": ""}, "refferral_code is blank"),
        ({"user_id": "\n"}, "user_id is blank"),
        ({"total_amount": -1}, "total_amount is negative"),
        ({"discount": "-1"}, "discount is negative"),
        ({"total_qty": -1}, "total_qty is negative"),
        ({"products": a_product(product_sku_id=" ")}, "products[0].product_sku_id is blank"),
        ({"products": a_product(amount="-0.01")}, "products[0].amount is negative"),
        ({"products": a_product(amount="-0")}, None),
        ({"products": a_product() + a_product(qty=0)}, "products[1].qty is below 1"),
    ],
    ids=str,
)
def test_what_cannot_be_true_is_named(changes: dict[str, Any], reason: str | None) -> None:
    assert invalid_reason(order(**changes)) == reason
