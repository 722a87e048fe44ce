"""`orders replay` where a shop added columns to `orders`: their values are its own, and a swap keeps them."""

import json
from typing import Any

import pytest

from consumer.postgres.migrate import migrate
from support.commands import Done, orders_here
from support.installation import Installation, headers_of
from support.orders import an_order

DESCRIBED = """
SELECT attname::text AS name, format_type(atttypid, atttypmod) AS type, attnotnull, attgenerated::text AS generated,
  attidentity::text AS identity, pg_get_expr(adbin, adrelid) AS expression
FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid = 'orders'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY 1
"""


def replay(installation: Installation, *arguments: str) -> Done:
    return orders_here("replay", *arguments, env=installation.environment)


@pytest.fixture(params=["public", "shop"])
def shop(installation: Installation, request: pytest.FixtureRequest) -> Installation:
    """30 orders, and a shop that changed the tables in the middle of them; in the schema that the URL names."""
    if request.param != "public":
        installation.sql(f"CREATE SCHEMA {request.param}")
        installation.postgres_url += f"?options=-csearch_path%3D{request.param}"
        migrate(installation.postgres_url)
    consumer = installation.start_consumer()
    produce(installation, 0, 15, "A")
    installation.wait_until_answered()
    installation.sql(
        "ALTER TABLE orders ADD COLUMN exported boolean NOT NULL DEFAULT false, "
        'ADD COLUMN made timestamptz NOT NULL DEFAULT now(), ADD COLUMN note varchar(20) COLLATE "C", '
        "ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY UNIQUE, ADD COLUMN number serial, "
        "ADD COLUMN loud text GENERATED ALWAYS AS (upper(name)) STORED, "
        "ADD COLUMN quiet text GENERATED ALWAYS AS (lower(name)) VIRTUAL, "
        "ADD CONSTRAINT short CHECK (length(note) < 15)"
    )
    installation.sql("CREATE INDEX to_export ON orders (order_id) WHERE NOT exported")
    produce(installation, 5, 30, "B")
    installation.wait_until_answered()
    consumer.stop()
    installation.sql("UPDATE orders SET exported = true, note = 'seen ' || order_id WHERE order_id < 'O-2'")
    return installation


def produce(installation: Installation, first: int, end: int, name: str) -> None:
    records = [an_order(f"O-{number}", name=name) for number in range(first, end)]
    installation.produce([{"key": o["order_id"], "value": json.dumps(o), "headers": headers_of("p")} for o in records])


def rows(installation: Installation) -> list[dict[str, Any]]:
    return installation.sql("SELECT * FROM orders ORDER BY order_id")


def test_a_swap_keeps_a_shop_s_columns_and_what_they_hold(shop: Installation) -> None:
    assert shop.sql("SELECT count(*) AS n FROM orders WHERE exported AND note IS NOT NULL AND made IS NOT NULL")[0]["n"]
    before, described = rows(shop), shop.sql(DESCRIBED)
    compared = replay(shop, "--json")
    assert compared.returncode == 0, compared.stderr
    assert json.loads(compared.stdout)["differences"] == 0
    shop.sql("UPDATE orders SET note = 'later', exported = true WHERE order_id = 'O-29'")  # since the comparison
    shop.sql("UPDATE orders SET name = 'Mallory' WHERE order_id = 'O-7'")
    swapped = replay(shop, "--swap", "--yes")
    assert swapped.returncode == 0, swapped.stderr
    after = rows(shop)
    assert [row["note"] for row in after if row["order_id"] == "O-29"] == ["later"]
    assert [row for row in after if row["order_id"] != "O-29"] == [row for row in before if row["order_id"] != "O-29"]
    assert shop.sql(DESCRIBED) == described
    shop.sql("DROP SCHEMA orders_replaced CASCADE")
    shop.start_consumer()
    produce(shop, 30, 40, "new")
    shop.wait_until_answered()
    new = [row for row in rows(shop) if row["name"] == "new"]
    assert len(new) == 10
    assert all(not row["exported"] and row["loud"] == "NEW" and row["quiet"] == "new" for row in new)
    for sequence in ("id", "number"):
        assert min(row[sequence] for row in new) > max(row[sequence] for row in before)


def test_an_order_that_only_the_topic_has_gets_the_shop_s_defaults(shop: Installation) -> None:
    shop.sql("DELETE FROM orders WHERE order_id IN ('O-3', 'O-4')")
    swapped = replay(shop, "--swap", "--yes")
    assert swapped.returncode == 0, swapped.stderr
    found = shop.sql("SELECT exported, note, made IS NOT NULL AS made FROM orders WHERE order_id IN ('O-3', 'O-4')")
    assert found == [{"exported": False, "note": None, "made": True}] * 2
