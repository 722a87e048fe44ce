"""What consumers, and partners behind them, may have to wait for a swap: a bounded time, measured over all attempts."""

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from consumer.errors import ConsumerStoppedError, RetryLaterError
from consumer.replay import swap as swapping
from consumer.replay.lock_holders import Holder
from consumer.replay.schema import REPLAY_SCHEMA
from consumer.replay.shop_values import ShopValues
from consumer.replay.swap import NotCaughtUpError, Waits, swap
from support.swapping import replay_copies, swap_made
from support.waiting import eventually

Sql = Callable[..., list[dict[str, Any]]]
LIVE = "SELECT 'orders'::regclass::oid AS oid"


@pytest.fixture
def replayed(database: str, sql: Sql) -> str:
    sql("INSERT INTO source_topic (topic, topic_id) VALUES ('orders.upserts', 'x')")
    replay_copies(database)
    return database


def test_nobody_waits_behind_a_report_and_who_holds_the_lock_is_named(replayed: str, sql: Sql) -> None:
    tables = sql(LIVE)
    with psycopg.connect(replayed, application_name="pg_dump") as report:
        report.execute("LOCK TABLE orders, order_letter, consumer_partition IN ACCESS SHARE MODE")
        with pytest.raises(ConsumerStoppedError) as caught:
            swap_made(replayed, lock_wait_s=1)
        told = str(caught.value)
        assert "The tables could not be swapped within 1 s: Other sessions keep locks on them." in told
        assert f"pid {report.info.backend_pid} (pg_dump), idle in transaction, since 2" in told
        assert "Consumers waited 0.00 s in 0 attempts." in told
        assert "The live tables are unchanged." in told
    assert sql(LIVE) == tables
    assert swap_made(replayed).attempts == 1
    assert sql(LIVE) != tables


def test_a_swap_begins_when_the_report_has_ended(replayed: str, sql: Sql) -> None:
    with psycopg.connect(replayed) as report:
        report.execute("SELECT FROM orders")

        def end_when_looked_at() -> None:
            looks = "SELECT pid FROM pg_stat_activity WHERE query LIKE %s AND pid <> pg_backend_pid()"
            eventually(lambda: sql(looks, "%FROM pg_locks AS l%") != [])
            report.rollback()

        ending = threading.Thread(target=end_when_looked_at)
        ending.start()
        assert swap_made(replayed).attempts == 1
        ending.join()


@pytest.mark.parametrize(
    "held", ["SELECT FROM consumer_partition WHERE partition = 7 FOR UPDATE", "SELECT FROM orders"]
)
def test_each_attempt_is_short_and_all_of_them_are_told(
    replayed: str, held: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody holds a lock whom the looks cannot tell from a consumer in a batch, or who began after them."""
    monkeypatch.setattr(swapping, "FENCE_LOCK_MS", 20)
    monkeypatch.setattr(swapping, "TABLE_LOCK_MS", 20)
    monkeypatch.setattr(swapping, "_await_free", lambda *_: None)
    monkeypatch.setattr(swapping, "PAUSE_S", 0.01)
    attempts = []
    with psycopg.connect(replayed, application_name="a report") as holder:
        holder.execute(held.encode())

        def prepare() -> None:
            attempts.append(1)
            if len(attempts) == 3:
                holder.rollback()

        waits = swap_made(replayed, prepare=prepare)
        assert (waits.attempts, len(attempts)) == (3, 3)
        assert waits.total_s > waits.longest_s >= 0.02
        assert (
            str(waits) == f"Consumers waited {waits.total_s:.2f} s in 3 attempts, at most {waits.longest_s:.2f} s each."
        )
        replay_copies(replayed)
        holder.execute(held.encode())
        with pytest.raises(ConsumerStoppedError, match="55P03") as caught:
            swap_made(replayed, lock_wait_s=0.2)
        assert f"pid {holder.info.backend_pid} (a report)" in str(caught.value)


@pytest.mark.parametrize("table", ["order_letter", f"{REPLAY_SCHEMA}.orders", f"{REPLAY_SCHEMA}.request_part_all"])
def test_a_vacuum_is_waited_for_before_consumers_wait(
    replayed: str, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same lock as that of autovacuum, which is probable on a table that was just filled."""
    monkeypatch.setattr(swapping, "_await_free", lambda *_: None)
    monkeypatch.setattr(swapping, "CHANGES_LOCK_MS", 20)
    with psycopg.connect(replayed) as vacuum:
        vacuum.execute(f"LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE".encode())
        with pytest.raises(ConsumerStoppedError, match=r"55P03(.|\n)*Consumers waited 0\.00 s in 0 attempts"):
            swap_made(replayed, lock_wait_s=0.1)


def test_what_was_changed_since_the_comparison_is_carried_over_too(
    replayed: str, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swapping, "PAUSE_S", 0.01)
    changes = [
        "CREATE INDEX by_name ON orders (lower(name)); ALTER TABLE orders ADD COLUMN later int DEFAULT 4",
        "ALTER TABLE orders DROP COLUMN later, ADD CONSTRAINT named CHECK (name <> '')",
        "ALTER TABLE orders ADD COLUMN later text, DROP CONSTRAINT named",
    ]

    def prepare() -> None:  # after what completes, as a DBA would do it in between
        if changes:
            sql(changes.pop(0))

    waits = swap_made(replayed, prepare=prepare)
    assert (waits.attempts, changes) == (1, [])  # so nobody waited for what did not succeed
    assert sql("SELECT pg_typeof(later)::text AS type FROM (VALUES (1)) AS one LEFT JOIN orders ON true") == [
        {"type": "text"}
    ]
    assert sql("SELECT 'by_name'::regclass::text AS name, conname FROM pg_constraint WHERE conname = 'named'") == []
    assert sql("SELECT indrelid::regclass::text AS t FROM pg_index WHERE indexrelid = 'by_name'::regclass") == [
        {"t": "orders"}
    ]


def give_up(url: str, catch_up: Callable[[Any], None] = lambda _: None) -> None:
    """Raises the cause for which a swap gives up."""
    with pytest.raises(ConsumerStoppedError, match="could not be swapped within") as caught:
        swap(url, REPLAY_SCHEMA, lambda: None, catch_up, ShopValues(REPLAY_SCHEMA), 0.1, Waits())
    assert caught.value.__cause__ is not None
    raise caught.value.__cause__


def test_a_replay_that_is_behind_is_not_swapped_in(replayed: str, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    sql("UPDATE consumer_partition SET next_offset = 5")
    monkeypatch.setattr(swapping, "UNDER_LOCK_EVENTS_MAX", 10)
    with pytest.raises(NotCaughtUpError, match="60 events arrived since the replay caught up"):
        give_up(replayed)
    monkeypatch.setattr(swapping, "UNDER_LOCK_EVENTS_MAX", 100)
    with pytest.raises(RetryLaterError, match="is not at the same offsets"):
        give_up(replayed)


def test_a_swap_that_is_frozen_gives_the_fence_back(replayed: str, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swapping, "HELD_IDLE_MS", 50)
    of_swap = (
        "SELECT pid FROM pg_stat_activity "
        "WHERE application_name = 'order-upsert replay' AND datname = current_database()"
    )
    tables = sql(LIVE)
    with pytest.raises(RetryLaterError):
        give_up(replayed, lambda _: wait_until_gone(sql, of_swap))
    assert sql(LIVE) == tables


def wait_until_gone(sql: Sql, sessions: str) -> None:
    assert sql(sessions) != []
    eventually(lambda: sql(sessions) == [])


def test_a_holder_is_described_by_what_a_role_may_see() -> None:
    hidden = Holder("3/1", 42, None, None, None, False, "orders")
    assert (
        str(hidden)
        == "pid 42 (without an application_name), state not shown, since a time that is not shown, on orders"
    )
    assert "a prepared transaction" in str(Holder("-1/9", None, None, None, None, False, "orders"))
    assert "pid 7 (autovacuum)" in str(Holder("4/2", 7, "", None, None, True, "orders"))
