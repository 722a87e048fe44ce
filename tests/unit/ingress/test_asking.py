"""What a request may ask for: Prefer, Idempotency-Key, ids that carry their partner, and the strict order."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.order import Order, invalid_reason
from contracts.request_id import belongs_to, issued_at, keyed, tagged
from contracts.result import Outcome, ResultError, StoredRequest, decode_outcomes, encode_outcomes
from contracts.strict_json import Violation
from contracts.strict_order import StrictOrder
from ingress.idempotency import digest_of, parse_key
from ingress.preferences import Preferences, parse_preferences
from support.orders import an_order
from support.parsing import parsed


@pytest.mark.parametrize(
    ("headers", "preferences"),
    [
        ([], Preferences()),
        (["respond-async"], Preferences(respond_async=True)),
        (["Respond-Async, WAIT=100"], Preferences(respond_async=True, wait_s=100)),
        (["wait=10", "respond-async"], Preferences(respond_async=True, wait_s=10)),
        (['return="representation"; x=y , handling = strict;a'], Preferences(representation=True, strict=True)),
        (["return=minimal, handling=lenient, priority=5, ,;,=,"], Preferences()),
        (["wait=1, wait=2"], Preferences(wait_s=1)),  # RFC 7240, section 2: the first one counts
        (["wait=-1"], Preferences()),
        (["wait=1.5"], Preferences()),
        (["wait=" + "9" * 10], Preferences()),
        (["wait=²"], Preferences()),
    ],
)
def test_prefer(headers: list[str], preferences: Preferences) -> None:
    assert parse_preferences(headers) == preferences


@given(st.lists(st.text(max_size=40), max_size=3))
def test_any_prefer_is_read(headers: list[str]) -> None:
    parse_preferences(headers)


def test_what_was_applied_is_told() -> None:
    everything = Preferences(respond_async=True, wait_s=99, representation=True, strict=True)
    assert everything.applied(wait_s=10, representation=True) == {
        "Preference-Applied": "respond-async, wait=10, return=representation, handling=strict"
    }
    assert Preferences(representation=True).applied(wait_s=10, representation=False) == {}


@pytest.mark.parametrize(("headers", "key"), [([], None), (["k"], "k"), (['"k"'], "k"), ([" k "], "k"), (['"'], '"')])
def test_a_key(headers: list[str], key: str | None) -> None:
    assert parse_key(headers) == key


@pytest.mark.parametrize("headers", [[""], ['""'], ["k", "k"], ["x" * 256], ["a b"], ["\t"], ["é"], ["a\x00"]])
def test_what_is_not_a_key(headers: list[str]) -> None:
    with pytest.raises(Violation, match="Idempotency-Key"):
        parse_key(headers)


PARTNERS = st.sampled_from(["p", "q", "demo"])


@given(st.uuids(version=4), PARTNERS, PARTNERS)
def test_an_id_belongs_to_the_partner_it_was_given_to(request_id: UUID, partner: str, other: str) -> None:
    mine = tagged(request_id, partner)
    assert belongs_to(mine, partner)
    assert belongs_to(mine, other) == (partner == other)
    assert mine.version == request_id.version
    assert tagged(mine, partner) == mine


@given(st.text(min_size=1), st.text(min_size=1), PARTNERS, PARTNERS)
def test_a_key_gives_the_same_id_to_its_partner_alone(key: str, other_key: str, partner: str, other: str) -> None:
    assert (keyed(key, partner) == keyed(other_key, other)) == (key == other_key and partner == other)
    assert keyed(key, partner).version == 5
    assert belongs_to(keyed(key, partner), partner)


def test_an_id_without_a_key_tells_when_it_was_given_out() -> None:
    assert issued_at(UUID("0199f4a0-1c00-7000-8000-000000000000")) == datetime(2025, 10, 18, 0, 2, 37, 696000, UTC)
    assert issued_at(keyed("k", "p")) is None
    assert issued_at(UUID("ffffffff-ffff-7000-8000-000000000000")) is None


def test_the_id_of_a_key_is_the_same_in_every_version() -> None:
    """It stays in the topic forever."""
    assert str(keyed("k", "demo")) == "b9489ebf-71a0-5a1c-bbc8-a51f40b1aa80"


def test_a_digest_is_over_the_value() -> None:
    def digest(*orders: dict[str, Any]) -> str:
        return digest_of(Order.model_validate(order).canonical() for order in orders)

    assert digest(an_order(total_amount="2500"), an_order("2")) == digest(an_order(), {**an_order("2"), "x": 1})
    assert digest(an_order(), an_order("2")) != digest(an_order("2"), an_order())
    assert digest() != digest(an_order())
    assert len(digest()) == 32


def test_a_stored_request_is_complete_when_every_item_has_an_outcome() -> None:
    stored = StoredRequest(size=3, invalid=1)
    found = [stored.is_complete]
    for outcome, index in ((Outcome.INSERTED, 0), (Outcome.STALE, 2)):
        stored.merge(decode_outcomes(encode_outcomes({**StoredRequest().outcomes, outcome: [index]})))
        found.append(stored.is_complete)
    assert found == [False, False, True]
    assert not StoredRequest().is_complete
    with pytest.raises(ResultError, match="not outcomes"):
        decode_outcomes("{}")


TEXTS = st.sampled_from(["", " ", "x", "\t"])
NUMBERS = st.sampled_from([-1, 0, 1, "5", "-3"])
PRODUCTS = st.fixed_dictionaries({"product_sku_id": TEXTS, "amount": st.sampled_from([-1, 0, "0.5"]), "qty": NUMBERS})
ORDERS = st.fixed_dictionaries(
    {
        **dict.fromkeys(["name", "email", "order_id", "refferral_code", "user_id"], st.sampled_from(["x", "y", " "])),
        "products": st.lists(PRODUCTS, max_size=2),
        "total_amount": NUMBERS,
        "discount": NUMBERS,
    },
    optional={"total_qty": st.none() | NUMBERS, "phone": st.none() | TEXTS, "unknown": st.just(1)},
)


@given(ORDERS)
def test_strict_accepts_an_order_exactly_if_it_is_valid_and_has_no_unknown_field(order: dict[str, Any]) -> None:
    valid = invalid_reason(Order.model_validate_json(json.dumps(order))) is None and "unknown" not in order
    body = json.dumps({"data": [order]}).encode()
    if valid:
        assert parsed(body, strict=True) == parsed(body)
        return
    with pytest.raises(Violation) as caught:
        parsed(body, strict=True)
    assert (caught.value.path, caught.value.error) == caught.value.others[0]


def test_the_strict_order_has_the_fields_of_the_order_in_their_order() -> None:
    assert list(StrictOrder.model_fields) == list(Order.model_fields)
    for name, field in Order.model_fields.items():
        assert StrictOrder.model_fields[name].is_required() == field.is_required()
