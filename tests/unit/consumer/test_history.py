"""Versions of an order: outcomes as the consumer decides them, and what changed."""

from hypothesis import given
from hypothesis import strategies as st

from consumer.core.batch import Batch
from consumer.core.decode import decode
from consumer.core.fold import fold
from consumer.core.record import Record
from consumer.history import Change, History, differences
from contracts.order import Order
from contracts.result import Outcome
from support.events import record
from support.orders import an_order


@given(st.lists(st.tuples(st.sampled_from("AB "), st.sampled_from("pq")), max_size=30))
def test_outcomes_are_those_of_the_consumer(events: list[tuple[str, str]]) -> None:
    records = [record(an_order(name=name), offset, partner=p) for offset, (name, p) in enumerate(events)]
    expected = fold(Batch.of([decode(item) for item in records], {}), {}).outcomes
    assert [version.outcome for version in History().versions(records)] == expected


def test_changes_name_fields_and_lines_of_products() -> None:
    before = Order.model_validate(an_order(total_qty=None))
    line = {"product_sku_id": "S", "amount": "12.50", "qty": 2}
    after = Order.model_validate(an_order(name="Bob", phone=None, products=[{**line, "qty": 3}, line]))
    assert differences(before, before) == []
    assert differences(before, after) == [
        Change("name", "Ada", "Bob"),
        Change("total_qty", None, 2),
        Change("products[0].qty", 2, 3),
        Change("products[1].product_sku_id", None, "S"),
        Change("products[1].amount", None, "12.5"),
        Change("products[1].qty", None, 2),
        Change("phone", "1", None),
    ]


def test_what_a_consumer_refused_is_a_version_that_changed_nothing() -> None:
    records = [record(an_order(name=name), offset) for offset, name in enumerate("ABC")]
    refused = {1: "RefusedByPostgres: 23514"}
    versions = list(History(lambda event: refused.get(event.offset)).versions(records))
    assert [version.outcome for version in versions] == [Outcome.INSERTED, Outcome.INVALID, Outcome.UPDATED]
    assert versions[1].reason == "RefusedByPostgres: 23514"
    assert versions[2].changes == [Change("name", "A", "C")]


def test_a_record_that_is_not_an_event_has_a_reason_and_no_outcome() -> None:
    broken = Record(3, 0, 0, b"O-1", b"{", ())
    (version,) = History().versions([broken])
    assert (version.outcome, version.partner_id, version.order) == (None, None, None)
    assert version.reason == "header ce_specversion is missing"


def test_an_event_of_a_type_that_is_not_known_is_refused_and_not_overlooked() -> None:
    later = record(an_order(), 0)
    later.headers = [(name, b"later" if name == "ce_type" else value) for name, value in later.headers]
    (version,) = History().versions([later])
    assert version.order is None
    assert version.reason == "header ce_type should be integration.orders.upsert.v1"
