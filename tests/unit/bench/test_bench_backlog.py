"""The backlogs: what our consumer reads, and the same orders for Debezium's sink."""

import json

from bench.backlog import PARTNER, canonical_templates, flat_templates
from bench.debezium import schema
from bench.tables import COLUMNS
from contracts.order import Order


def test_a_value_of_the_backlog_is_a_canonical_order() -> None:
    for template in canonical_templates()[:20]:
        value = template % (7, 250)
        order = Order.model_validate_json(value)
        assert order.canonical() == value
        assert (order.order_id, order.total_amount) == ("ORD-0000000007", 250)


def test_debezium_gets_the_same_orders() -> None:
    for ours, theirs in zip(canonical_templates(), flat_templates(), strict=True):
        flat = json.loads(theirs % (7, 250))
        assert flat.pop("partner_id") == PARTNER
        assert {**flat, "products": json.loads(flat["products"])} == json.loads(ours % (7, 250))


def test_the_schema_of_debezium_is_that_of_the_table() -> None:
    fields = json.loads(schema())["fields"]
    assert {field["field"] for field in fields} == set(COLUMNS)
    assert {field["field"] for field in fields if field["optional"]} == {"phone", "address", "total_qty"}
