"""How a replay decides requests with an Idempotency-Key, in any order of its partitions, and how it limits its rate."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from consumer.applier import Applier
from consumer.core.record import Event
from consumer.postgres.session import SessionHolder
from consumer.replay.pace import Pace
from consumer.replay.replay_session import ReplaySession
from consumer.replay.schema import open_schema, url_for
from support.events import TIME, batch, event

LEDGER_DAYS = 3
SCHEMA = "orders_replay"


@pytest.fixture
def tables(database: str) -> Iterator[tuple[SessionHolder, SessionHolder]]:
    """The live ones and those of a replay, which here has no topic."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("INSERT INTO source_topic (topic, topic_id) VALUES ('t', 'i')")
    open_schema(database, SCHEMA)
    made = SessionHolder(database, LEDGER_DAYS), SessionHolder(url_for(database, SCHEMA), LEDGER_DAYS, ReplaySession)
    yield made
    for each in made:
        each.close()


asked = st.tuples(st.integers(0, 2), st.integers(0, 3), st.sampled_from("AB"), st.booleans(), st.integers(0, 2))
"""Which order, which request, its value, with a key, days since the event before."""


@given(st.lists(asked, max_size=25))
@example([(0, 0, "A", False, 2)] * 5)  # a later example must not see these days
@example([(0, 0, "A", False, 0), (0, 0, "A", True, 0), (0, 0, "A", False, 0), (0, 0, "A", True, 0)])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_repeats_are_those_of_the_consumers_though_partitions_go_on_unequally(
    tables: tuple[SessionHolder, SessionHolder], wanted: list[tuple[int, int, str, bool, int]]
) -> None:
    live, replayed = tables
    for database in tables:
        forget(database)
    events = list(history(wanted))
    for item in events:  # the consumers apply them as they come
        Applier(live, lambda _: None).apply(batch([item]))
    partitions = {item.record.partition for item in events}
    for partition in sorted(partitions):  # the replay takes one partition after the other
        for item in (item for item in events if item.record.partition == partition):
            Applier(replayed, lambda _: None).apply(batch([item]))
    assert rows(replayed) == rows(live)


def history(wanted: list[tuple[int, int, str, bool, int]]) -> Iterator[Event]:
    """A request with a key always has the same order in it: as a partner does who asks again."""
    offsets: dict[int, Any] = {}
    day = 0
    for order, request, name, keyed, days in wanted:
        day += days
        name = "K" if keyed else name
        first = event(0, name, f"O-{order}")
        offset = next(offsets.setdefault(first.record.partition, count()))
        number = 10 * order + request + (100 if keyed else 1000 + offset)
        digest = f"{number:032x}" if keyed else None
        time = TIME + timedelta(days=day)
        yield event(offset, name, f"O-{order}", request=number, time=time, digest=digest)


def forget(database: SessionHolder) -> None:
    """Empty tables without a day, and a session that remembers none: days are kept by the newest one ever seen."""
    with database.session() as session:
        days = session.connection.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits "
            "WHERE inhparent = 'request_part'::regclass AND inhrelid::regclass::text ~ '_[0-9]{8}$'"
        ).fetchall()
        for (day,) in days:
            session.connection.execute(f"DROP TABLE {day}".encode())
        session.connection.execute("TRUNCATE orders, request_part, request_key")
        session.connection.execute("UPDATE consumer_partition SET next_offset = 0")
    database.close()


def rows(database: SessionHolder) -> list[tuple[object, ...]]:
    with database.session() as session:
        return session.connection.execute("SELECT o::text FROM orders AS o ORDER BY 1").fetchall()


def test_a_repeat_in_a_slow_partition_is_not_applied_twice(tables: tuple[SessionHolder, SessionHolder]) -> None:
    """Another partition is a month ahead. If its newest day counted, the first event would be forgotten."""
    _, replayed = tables
    applier = Applier(replayed, lambda _: None)
    digest = "d" * 32
    first, other = (
        event(0, "K", "slow", digest=digest),
        event(0, "A", "fast", request=2, time=TIME + timedelta(days=30)),
    )
    assert first.record.partition != other.record.partition
    changed = event(1, "newer", "slow", request=3)
    again = event(2, "K", "slow", digest=digest, time=TIME + timedelta(days=LEDGER_DAYS - 1))
    late = event(3, "K", "slow", digest=digest, time=TIME + timedelta(days=LEDGER_DAYS))
    for item in (first, other, changed, again):
        applier.apply(batch([item]))
    assert "newer" in str(rows(replayed))
    applier.apply(batch([late]))  # by then the consumers had forgotten
    assert "newer" not in str(rows(replayed))
    with replayed.session() as session:
        assert session.connection.execute("SELECT count(*) FROM request_part").fetchone() == (4,)  # nothing is dropped


def test_a_repeat_by_a_broker_whose_clock_is_ahead_is_one_in_the_replay_too(
    tables: tuple[SessionHolder, SessionHolder],
) -> None:
    today, digest = datetime.now(UTC), "d" * 32
    events = [
        event(0, "K", digest=digest, time=today),
        event(1, "newer", request=3, time=today),
        event(2, "K", digest=digest, time=today + timedelta(days=30)),
    ]
    for database in tables:
        for item in events:
            Applier(database, lambda _: None).apply(batch([item]))
        assert "newer" in str(rows(database))


def test_a_pace_is_kept_without_saving_up() -> None:
    now_s, slept = 0.0, []

    def sleep(duration_s: float) -> None:
        nonlocal now_s
        now_s += duration_s
        slept.append(duration_s)

    pace = Pace(100, lambda: now_s, sleep)
    assert pace.batch_max(2000) == 25
    for _ in range(5):
        pace.take(25)
    assert slept == [0.25] * 4
    now_s += 60
    pace.take(25)
    pace.take(25)
    assert len(slept) == 5
    free = Pace(None, lambda: now_s, sleep)
    free.take(10**9)
    assert (free.batch_max(2000), len(slept)) == (2000, 5)
