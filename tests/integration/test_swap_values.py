"""The values of a shop's columns: only those that changed since the last round are copied while the consumers wait."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from consumer.errors import ConsumerStoppedError
from consumer.postgres.connection import Connection
from consumer.replay import shop_values
from consumer.replay import swap as swapping
from consumer.replay.schema import REPLAY_SCHEMA, connected
from consumer.replay.shop_values import ShopValues
from consumer.replay.swap import NotCaughtUpError, Waits, swap
from support.swapping import replay_copies, swap_made

Sql = Callable[..., list[dict[str, Any]]]
ROWS = 5_000
FILLED = f"""
INSERT INTO orders (partner_id, order_id, name, email, refferral_code, user_id, products, total_amount, discount,
  content_hash, event_partition, event_offset, event_time)
SELECT 'p', 'O-' || i, 'n', 'a@b.c', 'r', 'u', '[]', 1, 0, '', 0, i, now() FROM generate_series(1, {ROWS}) AS i
"""
SHOP = (
    "ALTER TABLE orders ADD COLUMN note text, ADD COLUMN about json, ADD COLUMN price numeric NOT NULL DEFAULT 1.0, "
    "ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY"
)
NOTES = "SELECT note, count(*) AS n FROM orders GROUP BY note ORDER BY note"


@pytest.fixture
def made(database: str, sql: Sql) -> str:
    """The tables of a replay, and a shop with columns of several types."""
    sql("INSERT INTO source_topic (topic, topic_id) VALUES ('orders.upserts', 'x')")
    sql(FILLED)
    sql(SHOP)
    sql("UPDATE orders SET about = '{\"a\": 1}'")
    replay_copies(database)
    return database


@pytest.fixture
def locked(made: str) -> Iterator[tuple[Connection, ShopValues]]:
    """After the rounds. The connection is that which holds the locks of a swap."""
    values = ShopValues(REPLAY_SCHEMA)
    with connected(made) as connection:
        values.copy(connection, lambda: None)
    with connected(made) as connection:  # which has counted nothing yet
        yield connection, values


def test_only_what_changed_is_read_and_written_while_the_consumers_wait(
    locked: tuple[Connection, ShopValues], sql: Sql
) -> None:
    connection, values = locked
    sql("UPDATE orders SET note = 'later' WHERE event_offset <= 3")
    sql("UPDATE orders SET name = 'newer' WHERE event_offset = 9")  # as a consumer does: no value of the shop's
    with connection.transaction():
        assert values.copy_left(connection, "public")
        work = connection.execute(
            "SELECT n_tup_upd, coalesce(seq_tup_read, 0), coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables "
            "WHERE relid = 'orders_replay.orders'::regclass"
        ).fetchall()
        live = connection.execute("SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relid = 'orders'::regclass")
        assert (work, live.fetchall()) == ([(3, 0, 4)], [(1,)])


def once(sql: Sql, *statements: str) -> Callable[[], None]:
    """Runs the next statement at each call: before each attempt, after the rounds."""
    left = list(statements)

    def prepare() -> None:
        if left:
            sql(left.pop(0))

    return prepare


def test_nothing_that_changed_after_the_rounds_is_lost(made: str, sql: Sql) -> None:
    ids = "SELECT order_id, id FROM orders ORDER BY order_id"
    before = sql(ids)
    change = (
        "UPDATE orders SET note = 'later', about = '{\"b\": 2}' WHERE event_offset <= 3; "
        "UPDATE orders SET price = 1.00 WHERE event_offset = 4"  # equal to 1.0, and not the same
    )
    waits = swap_made(made, prepare=once(sql, change))
    assert waits.attempts == 1
    assert sql(NOTES) == [{"note": "later", "n": 3}, {"note": None, "n": ROWS - 3}]
    assert sql("SELECT about->>'b' AS b, price::text FROM orders WHERE event_offset = 2") == [
        {"b": "2", "price": "1.0"}
    ]
    assert sql("SELECT price::text FROM orders WHERE event_offset = 4") == [{"price": "1.00"}]
    assert sql(ids) == before


def test_what_a_transaction_wrote_before_a_round_and_commits_after_it_is_newer(made: str, sql: Sql) -> None:
    values = ShopValues(REPLAY_SCHEMA)
    with psycopg.connect(made) as before, connected(made) as connection:
        before.execute("UPDATE orders SET note = 'slow' WHERE event_offset = 1; SAVEPOINT s")
        sql("UPDATE orders SET note = 'quick' WHERE event_offset = 3")
        before.execute("UPDATE orders SET note = 'slow' WHERE event_offset = 2; RELEASE s")
        values.copy(connection, lambda: None)
        before.commit()
        with connection.transaction():
            assert values.copy_left(connection, "public")
    notes = "SELECT event_offset::int AS n, note FROM orders_replay.orders WHERE note IS NOT NULL ORDER BY 1"
    assert sql(notes) == [{"n": 1, "note": "slow"}, {"n": 2, "note": "slow"}, {"n": 3, "note": "quick"}]


def test_a_column_that_was_made_again_has_its_new_values(made: str, sql: Sql) -> None:
    change = "ALTER TABLE orders DROP COLUMN note; ALTER TABLE orders ADD COLUMN note text DEFAULT 'anew'"
    waits = swap_made(made, prepare=once(sql, change))
    assert waits.attempts == 1  # the one before noticed it before anybody waited
    assert sql(NOTES) == [{"note": "anew", "n": ROWS}]


def test_if_too_many_rows_change_an_attempt_ends_before_anybody_waits(
    made: str, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shop_values, "ROWS_LEFT_MAX", 10)
    monkeypatch.setattr(swapping, "PAUSE_S", 0.01)
    waits = swap_made(made, prepare=once(sql, "UPDATE orders SET note = 'all of them'"))
    assert waits.attempts == 1
    assert sql(NOTES) == [{"note": "all of them", "n": ROWS}]


def test_many_rows_that_change_between_the_look_and_the_locks_are_not_copied_under_them(
    locked: tuple[Connection, ShopValues], sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shop_values, "ROWS_LEFT_MAX", 10)
    connection, values = locked
    assert values.few_left(connection, "public")
    sql("UPDATE orders SET note = 'all of them'")
    assert not values.few_left(connection, "public")
    with connection.transaction(force_rollback=True):
        assert not values.copy_left(connection, "public")
        written = "SELECT n_tup_upd FROM pg_stat_xact_user_tables WHERE relid = 'orders_replay.orders'::regclass"
        assert connection.execute(written).fetchall() == [(11,)]


def test_an_order_without_a_live_row_gets_a_number_of_its_own(made: str, sql: Sql) -> None:
    # An event of the last moment, whose row somebody removed at once.
    event = FILLED.replace("INTO orders", "INTO orders_replay.orders").replace("(1, ", f"({ROWS + 1}, 1 + ")
    waits = swap_made(made, prepare=once(sql, event))
    assert waits.attempts == 1
    assert sql("SELECT max(id) AS id, count(DISTINCT id) AS n FROM orders") == [{"id": ROWS + 1, "n": ROWS + 1}]


def test_a_swap_that_gives_up_says_which_changes_to_wait_for(made: str) -> None:
    with pytest.raises(
        ConsumerStoppedError, match="More than 20,000 rows may have new values in columns of your own"
    ) as caught:
        swap(made, REPLAY_SCHEMA, lambda: None, lambda _: None, ShopValues(REPLAY_SCHEMA), 0.1, Waits())
    assert isinstance(caught.value.__cause__, NotCaughtUpError)


def test_a_swap_sees_what_was_written_before_its_locks_whatever_the_default_of_the_database_is(made: str) -> None:
    with connected(made) as connection:
        change = "ALTER DATABASE {} SET default_transaction_isolation = 'serializable'"
        connection.execute(SQL(change).format(Identifier(connection.info.dbname)))
    with connected(made) as connection:
        assert connection.execute("SHOW transaction_isolation").fetchall() == [("read committed",)]
