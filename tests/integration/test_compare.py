"""Two tables of orders are compared in a few statements, however many of their rows differ."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from consumer.postgres.connection import Connection
from consumer.replay import compare as comparing
from consumer.replay.compare import compare, compare_older, differences
from consumer.replay.schema import connected, open_schema

ROWS = 300
CHANGED = range(0, ROWS, 2)
ONLY_LIVE, ONLY_REPLAYED = ("p", "added"), ("Z", "\U0001f600 lost")


@pytest.fixture
def live(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """Half of the rows differ from those of the replay, most of them in buckets of their own."""
    monkeypatch.setattr(comparing, "KEYS_FETCHED", 70)
    monkeypatch.setattr(comparing, "ROWS_FETCHED", 40)
    with connected(database) as connection:
        connection.execute("INSERT INTO source_topic (topic, topic_id) VALUES ('orders.upserts', 'x')")
        open_schema(database, "orders_replay")
        for schema in ("public", "orders_replay"):
            for number in range(ROWS):
                write(connection, schema, "p", f"O-{number}", number)
        write(connection, "public", *ONLY_LIVE, 0)
        write(connection, "orders_replay", *ONLY_REPLAYED, 0)
        connection.execute("UPDATE orders SET discount = 1 WHERE event_offset % 2 = 0 AND order_id <> 'added'")
        connection.execute("UPDATE orders_replay.consumer_partition SET next_offset = 1000")
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        yield connection


def write(connection: psycopg.Connection, schema: str, partner: str, order: str, offset: int) -> None:
    connection.execute(
        f"INSERT INTO {schema}.orders (partner_id, order_id, name, email, refferral_code, user_id, products, "
        "total_amount, discount, content_hash, event_partition, event_offset, event_time) VALUES "
        "(%s, %s, 'A', '', '', '', '[]', 1, 0, '', 0, %s, '2026-01-01T00:00Z')".encode(),
        [partner, order, offset],
    )


def test_what_differs_is_counted_shown_and_read_by_key(live: Connection) -> None:
    changed = [("p", f"O-{number}") for number in CHANGED]
    expected = sorted([*changed, ONLY_LIVE, ONLY_REPLAYED])
    for found in (compare(live, live, "orders_replay", 20), compare_older(live, "orders_replay", 20)):
        assert (found.differences, found.orders, found.live_orders) == (len(expected), ROWS + 2, ROWS + 1)
        assert [(one.partner_id, one.order_id) for one in found.shown] == expected[:20]
    all_of_them = list(differences(live, "orders_replay"))
    assert [(one.partner_id, one.order_id) for one in all_of_them] == expected
    by_key = {(one.partner_id, one.order_id): one for one in all_of_them}
    assert by_key[ONLY_LIVE].replayed is by_key[ONLY_REPLAYED].live is None
    assert {tuple(by_key[key].columns) for key in changed} == {("discount",)}


def test_many_differences_are_read_in_few_statements(live: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    execute = psycopg.Connection.execute

    def noting(self: Connection, query: Any, *more: Any, **how: Any) -> Any:
        asked.append(query)
        return execute(self, query, *more, **how)

    monkeypatch.setattr(psycopg.Connection, "execute", noting)
    assert compare(live, live, "orders_replay", 20).differences > 100
    assert len(asked) < 10  # a statement reads a whole table, so there may not be one for each bucket
