"""The single transaction on a real Postgres: the fence, the rows, the ledger, and what is refused."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from typing import Any
from uuid import UUID

import psycopg
import pytest

from consumer.applied import FenceBehindError
from consumer.applier import Applier
from consumer.core.batch import Batch
from consumer.core.decode import decode
from consumer.core.record import Record, Rejected, Stage
from consumer.core.repeats import LostClaims
from consumer.core.replies import Reply
from consumer.errors import (
    ConsumerStoppedError,
    LogChangedError,
    RefusedByPostgresError,
    RetryLaterError,
    TablesAtFaultError,
)
from consumer.postgres.connection import JSON_ROWS_MAX
from consumer.postgres.ledger_reader import PostgresLedgerReader
from consumer.postgres.session import SessionHolder
from consumer.restore_barrier import AheadOfRestoreError, RestoreBarrier
from contracts.event import RequestKey
from contracts.ledger_reader import LedgerReader, LedgerUnavailableError, NoLedger
from contracts.partitioner import partition_of
from contracts.result import Outcome, StoredRequest, encode_outcomes, outcomes_of
from support.events import REPLY_TO, TIME, batch, batch_of, event, record
from support.orders import an_order
from support.waiting import eventually

LEDGER_DAYS = 7
A, B = "a" * 32, "b" * 32
INSERTED, UPDATED, INVALID = Outcome.INSERTED, Outcome.UPDATED, Outcome.INVALID
Sql = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def opened(database: str) -> Iterator[SessionHolder]:
    opened = SessionHolder(database, LEDGER_DAYS)
    yield opened
    opened.close()


@pytest.fixture
def buried() -> list[Rejected]:
    return []


@pytest.fixture
def applier(opened: SessionHolder, buried: list[Rejected]) -> Applier:
    return Applier(opened, buried.extend)


def outcomes(*items: tuple[int, Outcome]) -> str:
    return encode_outcomes(outcomes_of(items))


def fence(sql: Sql) -> dict[int, int]:
    rows = sql("SELECT partition, next_offset FROM consumer_partition WHERE next_offset > 0")
    return {row["partition"]: row["next_offset"] for row in rows}


def test_a_batch_is_applied_and_answered_and_again_it_is_only_answered(applier: Applier, sql: Sql) -> None:
    events = [event(0, "A", reply_to=REPLY_TO, index=0), event(1, "B", reply_to=REPLY_TO, index=1)]
    first = applier.apply(batch(events)).replies
    assert first == [Reply(events[0].context.request_id, REPLY_TO, outcomes((0, INSERTED), (1, UPDATED)))]
    tables = sql("SELECT * FROM orders"), sql("SELECT * FROM request_part"), fence(sql)
    assert applier.apply(batch(events)).replies == first  # the stored outcomes, not 'unchanged'
    assert (sql("SELECT * FROM orders"), sql("SELECT * FROM request_part"), fence(sql)) == tables
    assert tables[2] == {events[0].record.partition: 2}


@pytest.mark.parametrize("size", [1, 8, 9, 300])
def test_rows_are_the_same_by_one_statement_and_by_copy(applier: Applier, sql: Sql, size: int) -> None:
    offsets: dict[int, int] = {}
    events = []
    for number in range(size):
        order = an_order(f"N-{number}", name='"\\\t\n{}é€😀', phone=None, total_qty=None)
        partition = record(order, 0).partition
        offsets[partition] = offsets.get(partition, -1) + 1
        events.append(decode(record(order, offsets[partition], index=number)))
    applier.apply(batch(events))
    rows = sql("SELECT name, phone, total_qty, products, event_time, octet_length(content_hash) AS h FROM orders")
    assert len(rows) == size
    expected = {
        "name": '"\\\t\n{}é€😀',
        "phone": None,
        "total_qty": None,
        "products": [{"product_sku_id": "S", "amount": "12.5", "qty": 2}],
        "event_time": TIME,
        "h": 16,
    }
    assert all(row == expected for row in rows)


def test_a_copy_is_known_though_the_brokers_clock_jumped_before_it(applier: Applier, sql: Sql) -> None:
    today = datetime.now(UTC)
    about: dict[str, Any] = {"request": 1, "reply_to": REPLY_TO}
    applier.apply(batch([event(0, "old", **about, time=today), event(1, "new", request=2, time=today)]))
    applier.apply(batch([event(2, "old", **about, time=today + timedelta(days=30))]))
    assert sql("SELECT name, event_offset FROM orders") == [{"name": "new", "event_offset": 1}]


@pytest.mark.parametrize("requests", [1, JSON_ROWS_MAX + 1])
def test_the_ledger_is_the_same_by_one_statement_and_by_copy(applier: Applier, sql: Sql, requests: int) -> None:
    """Also of a writer that says nothing of its request, and of one with a key."""
    items = [record(an_order("O-1"), n, request=n + 1, digest=A) for n in range(requests)]
    others = [record(an_order("O-1"), requests + n, request=requests + n + 1) for n in range(requests)]
    silent = [replace(item, headers=[h for h in item.headers if not h[0].startswith("ce_request")]) for item in others]
    applier.apply(batch_of([*items, *silent]))
    rows = sql("SELECT * FROM request_part ORDER BY first_offset")
    assert len(rows) == 2 * requests
    partition = items[0].partition
    for number, row in enumerate(rows):
        size, invalid, digest = (1000, None, A) if number < requests else (None, None, None)
        outcome = INSERTED if number == 0 else Outcome.UNCHANGED
        assert row == {
            "request_id": UUID(int=number + 1), "partition": partition, "first_offset": number, "day": TIME.date(),
            "partner_id": "p", "request_size": size, "request_invalid": invalid, "outcomes": outcomes((0, outcome)),
            "digest": digest, "event_time": TIME,
        }  # fmt: skip


def test_a_copy_of_a_record_is_not_applied_over_what_came_between(applier: Applier, sql: Sql) -> None:
    """If a record times out, the client library sends others again that may have arrived."""
    about: dict[str, Any] = {"request": 1, "reply_to": REPLY_TO}
    first, newer, copy = event(0, "old", **about), event(1, "new", request=2), event(2, "old", **about)
    applier.apply(batch([first, newer]))
    assert applier.apply(batch([copy])).replies == [Reply(first.context.request_id, REPLY_TO, outcomes((0, INSERTED)))]
    assert [row["name"] for row in sql("SELECT name FROM orders")] == ["new"]
    assert len(sql("SELECT * FROM request_part")) == 2
    assert fence(sql) == {first.record.partition: 3}
    late = event(3, "old", time=TIME + timedelta(days=1), **about)  # around midnight
    applier.apply(batch([late, event(4, "newest", request=3, time=TIME + timedelta(days=1))]))
    assert [row["name"] for row in sql("SELECT name FROM orders")] == ["newest"]
    assert len(sql("SELECT * FROM request_part")) == 3


def test_a_copy_of_what_another_consumer_applied_in_between_is_found(applier: Applier, database: str, sql: Sql) -> None:
    """The partition was away and came back: what this one remembers of the request is not all."""
    applier.apply(batch([event(0, "1", index=0)]))
    away = SessionHolder(database, LEDGER_DAYS)
    Applier(away, lambda _: None).apply(batch([event(1, "2", index=1), event(2, "3", index=2)]))
    away.close()
    assert not applier.apply(batch([event(3, "2", index=1)])).changes_rows
    assert [row["name"] for row in sql("SELECT name FROM orders")] == ["3"]
    applier.apply(batch([event(4, "4", index=3)]))
    assert not applier.apply(batch([event(5, "1", index=0), event(6, "4", index=3)])).changes_rows
    assert [row["name"] for row in sql("SELECT name FROM orders")] == ["4"]


@pytest.mark.parametrize("notices", ["a new session", "a fence that went back"])
def test_what_another_consumer_had_applied_is_not_known_after_a_restore(
    applier: Applier, opened: SessionHolder, database: str, sql: Sql, notices: str
) -> None:
    """The partition comes to this one with the fence that it had when this one last read it. In between, this one has
    read what the other had applied there."""
    here, there = event(0, order_id="O-1", index=0), event(0, order_id="O-2", index=1)
    assert here.record.partition != there.record.partition
    applier.apply(batch([event(0, order_id="O-3", request=2)]))  # reads the fence of every partition
    with SessionHolder(database, LEDGER_DAYS).session() as away:
        other = SessionHolder(database, LEDGER_DAYS)
        Applier(other, lambda _: None).apply(batch([there]))
        other.close()
        applier.apply(batch([here]))  # reads what the ledger has of the request
        away.connection.execute("DELETE FROM orders WHERE order_id <> 'O-3'")
        away.connection.execute("DELETE FROM request_part WHERE request_id = %s", [there.context.request_id])
        away.connection.execute(
            "UPDATE consumer_partition SET next_offset = 0 WHERE partition = ANY (%s)",
            [[here.record.partition, there.record.partition]],
        )
        away.connection.close()
    if notices == "a new session":
        opened.close()
    else:
        applier.heed(LostClaims())
    assert applier.apply(batch([there])).changes_rows


def test_what_is_remembered_is_no_more_than_what_the_ledger_has(
    applier: Applier, opened: SessionHolder, sql: Sql
) -> None:
    """It has nothing of a day that it has forgotten. A replay remembers other requests, and decides alike."""
    late = TIME + timedelta(days=LEDGER_DAYS + 1)
    applier.apply(batch([event(0, "today", time=late)]))
    names = []
    for offset, later in ((1, applier), (4, Applier(opened, lambda _: None))):
        applier.apply(batch([event(offset, "old", request=offset + 1)]))
        applier.apply(batch([event(offset + 1, "between", request=offset + 2)]))
        later.apply(batch([event(offset + 2, "old", request=offset + 1)]))
        names += [row["name"] for row in sql("SELECT name FROM orders")]
    assert names[0] == names[1]


def test_a_batch_that_begins_behind_the_fence_is_applied_from_the_fence_on(applier: Applier, sql: Sql) -> None:
    events = [event(number, str(number), index=number, reply_to=REPLY_TO) for number in range(6)]
    applier.apply(batch(events[:3]))
    replies = applier.apply(batch(events)).replies
    assert [reply.outcomes_json for reply in replies] == [
        outcomes((3, UPDATED), (4, UPDATED), (5, UPDATED)),
        outcomes((0, INSERTED), (1, UPDATED), (2, UPDATED)),
    ]
    assert fence(sql) == {events[0].record.partition: 6}


def test_offsets_that_are_no_records_are_left_out(applier: Applier, sql: Sql) -> None:
    """The marker of a transaction takes an offset. `starts` shows that no record was skipped."""
    item = event(5)
    applier.apply(Batch.of([item], {item.record.partition: 0}))
    assert fence(sql) == {item.record.partition: 6}


def test_a_restored_database_is_noticed_and_nothing_is_written(applier: Applier, sql: Sql) -> None:
    item = event(5)
    with pytest.raises(FenceBehindError) as caught:
        applier.apply(batch([item]))
    assert caught.value.next_offsets == {item.record.partition: 0}
    assert sql("SELECT * FROM orders") == []
    assert fence(sql) == {}


def test_each_new_session_looks_for_a_restore_before_its_first_transaction(opened: SessionHolder, sql: Sql) -> None:
    """The batch that met the restore is not applied by the attempt that connects again."""
    item = event(0)
    partition, answered = item.record.partition, dict[int, int]()
    other = (partition + 1) % 12
    barrier = RestoreBarrier(lambda: answered, lambda _, ends: ends)
    applier = Applier(opened, lambda _: None, barrier)
    applier.apply(batch([item]))
    answered.update({partition: 1, other: 5})  # by then another partition was answered, and lost
    with opened.session() as session:
        sql("SELECT pg_terminate_backend(%s, 60000)", session.connection.info.backend_pid)
    later = event(1, request=2)
    with pytest.raises(RetryLaterError):
        applier.apply(batch([later]))
    with pytest.raises(AheadOfRestoreError) as ahead:
        applier.apply(batch([later]))
    assert ahead.value.starts == {partition: 1}
    assert fence(sql) == {partition: 1}
    assert applier.apply(batch([item])).replies == []  # below what was answered
    sql("UPDATE consumer_partition SET next_offset = 5 WHERE partition = %s", other)
    with opened.session() as session:
        assert not barrier.notice(session.fence.read())
    applier.apply(batch([later]))
    assert fence(sql)[partition] == 2


def test_a_zombie_waits_for_the_fence_and_finds_its_events_applied(database: str, sql: Sql) -> None:
    events = [event(number, str(number), index=number, reply_to=REPLY_TO) for number in range(3)]
    in_transaction, go_on = threading.Event(), threading.Event()

    def bury_slowly(_: list[Rejected]) -> None:
        in_transaction.set()
        assert go_on.wait(10)

    slow, fast = SessionHolder(database, LEDGER_DAYS), SessionHolder(database, LEDGER_DAYS)
    bad = Rejected(Record(events[0].record.partition, 3, 0, None, None, ()), None, 0, Stage.TASK_PUT, "error", "reason")
    with ThreadPoolExecutor() as pool:
        first = pool.submit(Applier(slow, bury_slowly).apply, Batch.of([*events, bad], batch(events).starts))
        assert in_transaction.wait(10)
        second = pool.submit(Applier(fast, lambda _: None).apply, batch(events))
        waiting = (
            "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        eventually(lambda: sql(waiting)[0]["n"] == 1)
        go_on.set()
        assert first.result().replies == second.result().replies
    slow.close()
    fast.close()
    assert [row["name"] for row in sql("SELECT name FROM orders")] == ["2"]
    assert len(sql("SELECT * FROM request_part")) == 1


def test_a_frozen_consumer_loses_its_locks(opened: SessionHolder, database: str) -> None:
    """The server ends its session. Otherwise a process that froze in a transaction would block its successor."""
    with opened.session() as session:
        limits = [
            session.connection.execute(f"SHOW {name}".encode()).fetchone()
            for name in ("statement_timeout", "idle_in_transaction_session_timeout")
        ]
    assert limits == [("10s",), ("10s",)]


def test_what_is_rejected_is_buried_before_the_commit(opened: SessionHolder, sql: Sql) -> None:
    good, bad = event(0, index=0, reply_to=REPLY_TO), record(an_order(discount=-1), 1, index=1, reply_to=REPLY_TO)
    seen: list[int] = []

    def bury(rejected: list[Rejected]) -> None:
        seen.append(len(sql("SELECT * FROM orders")))
        assert [item.reason for item in rejected] == ["discount is negative"]

    replies = Applier(opened, bury).apply(Batch.of([good, decode(bad)], {bad.partition: 0})).replies
    assert seen == [0]
    assert [reply.outcomes_json for reply in replies] == [outcomes((0, INSERTED), (1, INVALID))]


def test_when_the_dlq_is_down_nothing_is_committed(opened: SessionHolder, sql: Sql) -> None:
    def bury(_: list[Rejected]) -> None:
        raise RetryLaterError("the DLQ is down")

    bad = record(an_order(discount=-1), 1, index=1)
    with pytest.raises(RetryLaterError):
        Applier(opened, bury).apply(Batch.of([event(0), decode(bad)], {bad.partition: 0}))
    assert sql("SELECT * FROM orders") == []
    assert fence(sql) == {}


def test_the_tables_know_that_all_before_the_last_batch_was_answered(applier: Applier, sql: Sql) -> None:
    """Also if the batch is applied in parts, all of which are answered together."""
    sql("ALTER TABLE orders ADD CHECK (name <> 'refused')")
    events = [event(n, "refused" if n == 8 else f"{n}", request=n, reply_to=REPLY_TO) for n in range(9)]
    partition = events[0].record.partition
    for start, end in ((0, 3), (3, 9), (1, 5)):  # the last one is read again after a crash
        applier.apply(batch(events[start:end]))
    found = sql("SELECT next_offset, answered_to FROM consumer_partition WHERE partition = %s", partition)
    assert found == [{"next_offset": 9, "answered_to": 3}]


def test_a_record_that_the_tables_refuse_is_found_and_the_rest_is_applied(
    applier: Applier, buried: list[Rejected], sql: Sql
) -> None:
    sql("ALTER TABLE orders ADD CHECK (name <> 'refused')")
    keys = islice((key for n in count() if partition_of((key := f"K-{n}").encode(), 12) == 0), 10)
    events = [
        event(n, "refused" if n in (3, 4) else "fine", key, index=n, reply_to=REPLY_TO) for n, key in enumerate(keys)
    ]
    replies = applier.apply(batch(events)).replies
    assert sorted(item.record.offset for item in buried) == [3, 4]
    assert all(item.stage == "TASK_PUT" and "23514" in item.reason for item in buried)
    assert sql("SELECT name FROM orders") == [{"name": "fine"}] * 8
    assert fence(sql) == {0: 10}
    found = "".join(reply.outcomes_json for reply in replies)
    assert '"invalid":[3]' in found
    assert '"invalid":[4]' in found
    again = applier.apply(batch(events)).replies
    assert sorted(reply.outcomes_json for reply in again) == sorted(reply.outcomes_json for reply in replies)


def test_a_table_that_is_gone_stops_the_consumer_with_advice(applier: Applier, sql: Sql) -> None:
    sql("DROP TABLE orders")
    with pytest.raises(ConsumerStoppedError, match="the table orders is missing"):
        applier.apply(batch([event(0)]))


def test_errors_of_a_session_are_ours(opened: SessionHolder) -> None:
    with pytest.raises(RefusedByPostgresError, match="22012"), opened.session(writes_rows=True) as session:
        session.connection.execute("SELECT 1 / 0")
    with opened.session() as session:
        assert session.connection.execute("SELECT 1").fetchone() == (1,)


def test_a_connection_that_the_client_library_gave_up_is_not_used_again(opened: SessionHolder) -> None:
    with opened.session() as session:
        session.connection.pgconn.send_query(b"SELECT pg_sleep(60)")  # as a failed wait leaves it
    with pytest.raises(RetryLaterError), opened.session():
        raise psycopg.OperationalError("connection socket closed")
    with opened.session() as session:
        assert session.connection.execute("SELECT 1").fetchone() == (1,)


def test_a_database_that_does_not_exist_differs_from_one_that_is_down(database: str) -> None:
    with pytest.raises(ConsumerStoppedError, match="Create the database"), SessionHolder(database + "x", 7).session():
        pass
    with pytest.raises(RetryLaterError), SessionHolder("postgresql://u@127.0.0.1:1/d", 7).session():
        pass


def days(sql: Sql) -> list[str]:
    rows = sql("SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'request_part'::regclass")
    return sorted(row["name"].removeprefix("request_part_") for row in rows)


def test_days_of_the_ledger_are_made_when_they_come_and_dropped_by_the_newest(applier: Applier, sql: Sql) -> None:
    for number in range(10):
        applier.apply(batch([event(number, str(number), request=number + 1, time=TIME + timedelta(days=number))]))
    expected = [f"{TIME + timedelta(days=number):%Y%m%d}" for number in range(3, 10)]
    assert days(sql) == expected
    assert len(sql("SELECT * FROM request_part")) == LEDGER_DAYS


def test_an_event_older_than_the_ledger_is_applied_but_not_filed(applier: Applier, sql: Sql) -> None:
    applier.apply(batch([event(0, "new", "a", time=TIME)]))
    applier.apply(batch([event(0, "old", "b", time=TIME - timedelta(days=LEDGER_DAYS), request=2)]))
    assert len(sql("SELECT * FROM orders")) == 2
    assert len(sql("SELECT * FROM request_part")) == 1


def test_one_batch_may_span_more_days_than_are_kept(applier: Applier, sql: Sql) -> None:
    events = [event(n, str(n), request=n + 1, time=TIME + timedelta(days=n)) for n in range(20)]
    applier.apply(batch(events))
    assert len(days(sql)) == len(sql("SELECT * FROM request_part")) == LEDGER_DAYS


def test_a_day_that_another_consumer_dropped_is_not_the_fault_of_a_record(
    applier: Applier, database: str, buried: list[Rejected], sql: Sql
) -> None:
    old = TIME - timedelta(days=LEDGER_DAYS - 1)
    applier.apply(batch([event(0, "1", "a", time=old)]))
    other = SessionHolder(database, LEDGER_DAYS)
    Applier(other, buried.extend).apply(batch([event(0, "1", "b", time=TIME + timedelta(days=3), request=2)]))
    other.close()
    with pytest.raises(RetryLaterError, match="another consumer dropped a day"):
        applier.apply(batch([event(1, "2", "a", time=old, request=3)]))
    applier.apply(batch([event(1, "2", "a", time=old, request=3)]))
    assert buried == []
    assert sql("SELECT name FROM orders WHERE order_id = 'a'") == [{"name": "2"}]


def test_a_reply_is_only_sent_to_the_partner_whose_request_it_was(applier: Applier) -> None:
    applier.apply(batch([event(0, partner="p", request=5)]))
    foreign = event(0, partner="q", request=5, reply_to=REPLY_TO)
    assert applier.apply(batch([foreign])).replies == []


def test_rows_that_a_restore_took_back_do_not_speak_for_the_tables(
    applier: Applier, buried: list[Rejected], sql: Sql
) -> None:
    """They are among those that were accepted last, and a probe of a row that is gone refuses nothing."""
    applier.apply(batch([event(0, partner="p"), event(0, order_id="O-2", partner="q", request=2)]))
    sql("DELETE FROM orders WHERE partner_id = 'p'")
    sql("ALTER TABLE orders ADD CHECK (false) NOT VALID")
    with pytest.raises(TablesAtFaultError):
        applier.apply(batch([event(1, "B", partner="p", request=3)]))
    assert buried == []


def test_a_letter_is_remembered_until_something_newer_stands_there(
    applier: Applier, buried: list[Rejected], sql: Sql
) -> None:
    sql("ALTER TABLE orders ADD CHECK (name <> 'refused')")
    first = (0, "fine", "O-1"), (1, "refused", "O-1"), (0, "refused", "new"), (2, "refused", "O-1")
    for index, item in enumerate(first):
        applier.apply(batch([event(*item, index=index)]))
    assert len(buried) == 3
    remembered = "SELECT order_id, event_offset FROM order_letter ORDER BY 1"
    assert sql(remembered) == [{"order_id": "O-1", "event_offset": 2}, {"order_id": "new", "event_offset": 0}]
    applier.apply(batch([event(3, "fine", index=4)]))  # unchanged, and yet it moves the row's offset
    applier.apply(batch([event(1, "fine", "new", index=5)]))
    assert sql(remembered) == []
    assert sql("SELECT event_offset FROM orders ORDER BY order_id") == [{"event_offset": 3}, {"event_offset": 1}]
    applier.apply(batch([event(4, "fine", index=6)]))
    assert sql("SELECT event_offset FROM orders WHERE order_id = 'O-1'") == [{"event_offset": 3}]


def test_a_keyed_event_that_comes_again_is_answered_and_not_applied(applier: Applier, sql: Sql) -> None:
    """In a later batch, and in the same one."""
    first = [event(0, "1", index=0, reply_to=REPLY_TO, digest=A), event(1, "2", index=1, reply_to=REPLY_TO, digest=A)]
    [told] = applier.apply(batch(first)).replies
    between = event(2, "between", request=2)
    again = [event(3, "1", index=0, reply_to=REPLY_TO, digest=A), event(4, "1", index=0, reply_to=REPLY_TO, digest=A)]
    assert applier.apply(batch([between, *again])).replies == [replace(told, stored=True)]
    assert sql("SELECT name FROM orders") == [{"name": "between"}]
    assert len(sql("SELECT * FROM request_part")) == 2
    assert fence(sql) == {first[0].record.partition: 5}


def test_the_key_belongs_to_the_first_committed_body(applier: Applier, buried: list[Rejected], sql: Sql) -> None:
    applier.apply(batch([event(0, "mine", "a", digest=A)]))
    other = event(0, "other", "b", digest=B, index=4, reply_to=REPLY_TO)
    expected = [Reply(other.context.request_id, REPLY_TO, outcomes((4, INVALID)), B, conflict=True)]
    assert applier.apply(batch([other])).replies == expected
    assert [item.error for item in buried] == ["IdempotencyConflict"]
    assert (
        applier.apply(batch([other])).replies == expected
    )  # below the fence now: it is answered again, but not buried again
    assert len(buried) == 1
    assert sql("SELECT name FROM orders") == [{"name": "mine"}]
    assert len(sql("SELECT * FROM request_part")) == 1


def test_two_bodies_in_two_partitions_at_once_meet_at_the_key(database: str, sql: Sql) -> None:
    """The second transaction waits for the first. Otherwise both would be applied."""
    in_transaction, go_on = threading.Event(), threading.Event()

    def bury_slowly(_: list[Rejected]) -> None:
        in_transaction.set()
        assert go_on.wait(10)

    slow, fast = SessionHolder(database, LEDGER_DAYS), SessionHolder(database, LEDGER_DAYS)
    mine, other = event(0, "mine", "a", digest=A), event(0, "other", "b", digest=B, reply_to=REPLY_TO)
    assert mine.record.partition != other.record.partition
    bad = Rejected(Record(mine.record.partition, 1, 0, None, None, ()), None, 0, Stage.TASK_PUT, "error", "reason")
    with ThreadPoolExecutor() as pool:
        first = pool.submit(Applier(slow, bury_slowly).apply, Batch.of([mine, bad], batch([mine]).starts))
        assert in_transaction.wait(10)
        second = pool.submit(Applier(fast, lambda _: None).apply, batch([other]))
        waiting = (
            "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        eventually(lambda: sql(waiting)[0]["n"] == 1)
        go_on.set()
        first.result()
        assert [reply.conflict for reply in second.result().replies] == [True]
    slow.close()
    fast.close()
    assert sql("SELECT name FROM orders") == [{"name": "mine"}]


def test_what_the_dead_letters_say_counts_more_than_who_comes_first(applier: Applier, sql: Sql) -> None:
    loser, winner = event(0, "loser", "a", digest=B), event(0, "winner", "b", digest=A)
    lost_claims = LostClaims(timedelta(days=LEDGER_DAYS))
    lost_claims.add(loser.context, TIME)
    applier.heed(lost_claims)
    applier.apply(batch([loser]))
    applier.apply(batch([winner]))
    assert sql("SELECT name FROM orders") == [{"name": "winner"}]


def test_a_key_is_forgotten_with_its_day_of_the_ledger(applier: Applier, sql: Sql) -> None:
    applier.apply(batch([event(0, "1", "a", digest=A)]))
    applier.apply(batch([event(1, "2", "a", digest=B, time=TIME + timedelta(days=LEDGER_DAYS - 1))]))
    assert sql("SELECT name FROM orders") == [{"name": "1"}]
    applier.apply(batch([event(2, "3", "a", digest=B, time=TIME + timedelta(days=LEDGER_DAYS))]))
    assert sql("SELECT name FROM orders") == [{"name": "3"}]
    assert sql("SELECT digest FROM request_key") == [{"digest": B}]


def test_the_ledger_is_read_request_by_request(applier: Applier, database: str) -> None:
    applier.apply(batch([event(0, "1", "a", digest=A), event(0, "1", "b", index=1, request=2)]))
    asked = [RequestKey(UUID(int=number), partner) for number, partner in ((1, "p"), (2, "p"), (2, "q"), (3, "p"))]

    async def read() -> list[StoredRequest | None]:
        ledger = PostgresLedgerReader(database)
        await ledger.open()
        try:
            return [await ledger.read(request) for request in asked]
        finally:
            await ledger.close()

    keyed, unkeyed, *unknown = asyncio.run(read())
    assert keyed == StoredRequest(A, 1000, None, outcomes_of([(0, INSERTED)]))
    assert unkeyed == StoredRequest(None, 1000, None, outcomes_of([(1, INSERTED)]))
    assert unknown == [None, None]


@pytest.mark.parametrize(
    "ledger", [PostgresLedgerReader("postgresql://u@127.0.0.1:1/d"), NoLedger()], ids=["down", "none"]
)
def test_a_ledger_that_does_not_answer_says_so(ledger: LedgerReader) -> None:
    async def read() -> None:
        await ledger.open()
        try:
            await ledger.read(RequestKey(UUID(int=1), "p"))
        finally:
            await ledger.close()

    with pytest.raises(LedgerUnavailableError, match=r"Postgres|is not set"):
        asyncio.run(read())


@pytest.mark.parametrize("digest", [None, A], ids=["without a key", "with a key"])
def test_no_table_is_read_as_a_whole_while_it_grows(
    opened: SessionHolder, applier: Applier, sql: Sql, digest: str | None
) -> None:
    """Statements are prepared while tables have one row; here nobody analyses them again before they are large."""
    offsets, events = count(), 0

    def apply(requests: range, first_order: int) -> None:
        records = [
            event(next(offsets), f"n{request}", f"O-{first_order + number}", request=request, digest=digest)
            for number, request in enumerate(requests)
        ]
        applier.apply(Batch.of(records, dict.fromkeys(batch(records).starts, 0)))

    apply(range(1), 0)
    for table in ("orders", "request_key", "request_part_20260324"):
        sql(f"VACUUM ANALYZE {table}")
        sql(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
    for _ in range(10):
        apply(range(1), 0)
    for number in range(40):
        first = events if number % 2 else 0  # new ones, and some that are changed
        apply(range(events + 1, events + JSON_ROWS_MAX + 2), first)
        events += JSON_ROWS_MAX + 1
    opened.close()  # so that Postgres counts what the session read

    def tables() -> list[dict[str, Any]]:
        found = sql(
            "SELECT relname, n_tup_ins, seq_tup_read, idx_tup_fetch FROM pg_stat_user_tables "
            "WHERE relname ~ '^(orders|request_key|request_part_.*)$'"
        )
        return found if any(table["n_tup_ins"] >= events // 2 for table in found) else []

    for read in eventually(tables):
        assert read["seq_tup_read"] <= 10, read
        assert read["idx_tup_fetch"] <= 4 * events, read


def test_an_event_below_the_fence_that_the_ledger_does_not_know_was_never_applied(applier: Applier, sql: Sql) -> None:
    """Another record took the offset of the one that was applied: Kafka was put back, and has grown since."""
    applier.apply(batch([event(0, "A", time=TIME - timedelta(days=2)), event(1, "B"), event(2, "C", index=1)]))
    again = [event(1, "B"), event(2, "C", index=1)]
    assert applier.apply(batch(again)).replies == []
    other = [event(1, "B"), event(2, "other", request=7)]
    with pytest.raises(LogChangedError, match="offset 2 of partition"):
        applier.apply(batch(other))
    forgotten = [event(0, "never seen", request=8, time=TIME - timedelta(days=2))]
    applier.apply(batch(forgotten))  # of the oldest day: the ledger may have filed it under the day before


def test_a_broker_whose_clock_is_ahead_makes_the_ledger_forget_nothing(
    applier: Applier, sql: Sql, caplog: pytest.LogCaptureFixture
) -> None:
    """A keyed request of today is still known, and the day of the event is kept for itself."""
    today = datetime.now(UTC)
    applier.apply(batch([event(0, "1", "a", digest=A, reply_to=REPLY_TO, time=today)]))
    ahead = today + timedelta(days=30)
    applier.apply(batch([event(0, "1", "b", request=2, time=ahead), event(1, "2", "a", request=3, time=ahead)]))
    assert "the broker's clock is ahead" in caplog.text
    (reply,) = applier.apply(batch([event(2, "1", "a", digest=A, reply_to=REPLY_TO, time=today)])).replies
    assert reply.stored
    (reply,) = applier.apply(batch([event(3, "1", "a", digest=B, reply_to=REPLY_TO, time=ahead)])).replies
    assert reply.conflict
    assert len(days(sql)) == 2
