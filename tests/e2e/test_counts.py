"""The answers to partners, and the rows in the tables (P2)."""

import pytest

from support.installation import Ingress, Installation
from support.orders import an_order


@pytest.fixture(scope="module")
def ingress(shared_installation: Installation) -> Ingress:
    shared_installation.start_consumer()
    return shared_installation.start_ingress()


def test_a_batch_is_counted_order_by_order_and_each_row_is_its_last_event(
    shared_installation: Installation, ingress: Ingress
) -> None:
    token = shared_installation.add_partner("counts")
    first = shared_installation.post(ingress, token, [an_order("same"), an_order("changed")])
    assert first.counts == (2, 0, 0)
    answer = shared_installation.post(
        ingress,
        token,
        [
            an_order("new", name="1"),  # inserted
            an_order("same"),  # the same value: skipped
            an_order("changed", name="2"),  # updated
            an_order("invalid", name="  "),  # skipped
            an_order("new", name="3"),  # repeated with another value: updated
            an_order("new", name="3"),  # repeated with the same: skipped
            an_order("changed", discount=-1),  # skipped, and the row stays
            an_order("changed", name="4"),  # updated
        ],
    )
    assert answer.counts == (1, 3, 4)
    rows = shared_installation.rows("counts")
    assert {order_id: row["name"] for order_id, row in rows.items()} == {"same": "Ada", "new": "3", "changed": "4"}


def test_two_partners_use_the_same_order_id_and_do_not_see_each_other(
    shared_installation: Installation, ingress: Ingress
) -> None:
    one, two = shared_installation.add_partner("one"), shared_installation.add_partner("two")
    assert shared_installation.post(ingress, one, [an_order("same-id", name="of one")]).counts == (1, 0, 0)
    assert shared_installation.post(ingress, two, [an_order("same-id", name="of two")]).counts == (1, 0, 0)
    assert shared_installation.post(ingress, one, [an_order("same-id", name="of one")]).counts == (0, 0, 1)
    assert shared_installation.rows("one")["same-id"]["name"] == "of one"
    assert shared_installation.rows("two")["same-id"]["name"] == "of two"


def test_an_empty_batch_is_zeros(shared_installation: Installation, ingress: Ingress) -> None:
    token = shared_installation.add_partner()
    assert shared_installation.post(ingress, token, []).counts == (0, 0, 0)


def test_a_batch_of_invalid_orders_is_skipped_and_not_published(
    shared_installation: Installation, ingress: Ingress
) -> None:
    token = shared_installation.add_partner()
    before = shared_installation.end_offsets(shared_installation.settings.topics.upserts)
    assert shared_installation.post(ingress, token, [an_order(name=""), an_order(user_id=" ")]).counts == (0, 0, 2)
    assert shared_installation.end_offsets(shared_installation.settings.topics.upserts) == before


def test_a_row_holds_every_field_and_where_it_came_from(shared_installation: Installation, ingress: Ingress) -> None:
    token = shared_installation.add_partner("fields")
    order = an_order(
        "all",
        phone=None,
        address=None,
        total_qty=None,
        products=[{"product_sku_id": "S", "amount": 12.50, "qty": "2"}],
        total_amount="9223372036854775807",
    )
    assert shared_installation.post(ingress, token, [order]).counts == (1, 0, 0)
    row = shared_installation.rows("fields")["all"]
    assert (row["phone"], row["address"], row["total_qty"]) == (None, None, None)
    assert row["products"] == [{"product_sku_id": "S", "amount": "12.5", "qty": 2}]
    assert row["total_amount"] == 2**63 - 1
    event = next(
        record
        for record in shared_installation.records(shared_installation.settings.topics.upserts)
        if (record.partition(), record.offset()) == (row["event_partition"], row["event_offset"])
    )
    assert event.key() == b"all"
    assert row["event_time"].timestamp() * 1000 == event.timestamp()[1]


def test_a_thousand_orders_in_one_request(shared_installation: Installation, ingress: Ingress) -> None:
    token = shared_installation.add_partner("thousand")
    orders = [an_order(f"T-{number}") for number in range(1000)]
    assert shared_installation.post(ingress, token, orders).counts == (1000, 0, 0)
    assert shared_installation.post(ingress, token, orders).counts == (0, 0, 1000)
    assert len(shared_installation.rows("thousand")) == 1000
