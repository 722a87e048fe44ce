"""Two batches at once: what becomes of them when a partition is lost, or the tables were put back.

No broker loses a partition at a given moment, so Kafka and Postgres are stand-ins here.
"""

from collections.abc import Callable, Collection, Mapping
from threading import Event as Flag
from typing import Any, cast

import pytest

from consumer.applier import Applied, FenceBehindError
from consumer.core.record import Batch, Record, Work
from consumer.errors import RetryLaterError
from consumer.settings import ConsumerSettings
from consumer.worker import AHEAD_RECORDS_MIN, Worker
from support.events import record
from support.orders import an_order

Place = tuple[int, int]
A, B = 0, 1
MANY = AHEAD_RECORDS_MIN // 2  # of each partition


def records_of(partitions: Collection[int], first: int, count: int = MANY) -> list[Record]:
    found = []
    for partition in partitions:
        for offset in range(first, first + count):
            found.append(record(an_order("O-1"), offset))
            found[-1].partition = partition
    return found


class Fake:
    """Both of them. `takes`: what each take gives; `lost`: what is lost in each of them, and in a wait."""

    def __init__(self, takes: list[list[Record]]) -> None:
        self.takes = takes
        self.lost_in_take: dict[int, set[int]] = {}
        self.lost_in_wait: set[int] = set()
        self.failures: list[Exception] = []
        self.applied: list[set[Place]] = []
        self.rewound: dict[int, int] = {}
        self._lost: set[int] = set()
        self._taken = 0
        self.decoded_meanwhile = 0
        self.restores = 0

    # the assignment

    def take(self, records_max: int, timeout_s: float) -> tuple[list[Record], dict[int, int]]:
        self._lost |= self.lost_in_take.get(self._taken, set())
        records = self.takes[self._taken] if self._taken < len(self.takes) else []
        self._taken += 1
        starts: dict[int, int] = {}
        for item in records:
            starts.setdefault(item.partition, item.offset)
        return records, starts

    def wait(self, duration_s: float) -> None:
        self._lost |= self.lost_in_wait

    def drain_revoked(self) -> set[int]:
        lost, self._lost = self._lost, set()
        return lost

    def rewind(self, offsets: Mapping[int, int]) -> None:
        self.rewound.update(offsets)

    def commit(self, next_offsets: Mapping[int, int]) -> None: ...

    # the applier

    def apply(self, batch: Batch, meanwhile: Work | None) -> Applied:
        if self.failures:
            raise self.failures.pop(0)
        while meanwhile is not None and meanwhile():
            self.decoded_meanwhile += 1
        self.applied.append({(item.record.partition, item.record.offset) for item in batch.records})
        return Applied([], True)

    def note_restore(self) -> None:
        self.restores += 1

    # the producer

    def send(self, *_: object) -> None: ...


Started = Callable[..., tuple[Worker, Fake]]


@pytest.fixture
def started() -> Started:
    def start(*takes: list[Record]) -> tuple[Worker, Fake]:
        fake = Fake(list(takes))
        settings = ConsumerSettings(kafka_bootstrap="127.0.0.1:1", postgres_url="postgresql:///")
        stand_in = cast(Any, fake)

        def read_applied(partitions: Collection[int]) -> dict[int, int]:
            return dict.fromkeys(partitions, 0)

        return Worker(
            settings, stand_in, stand_in, stand_in, read_applied, fake.note_restore, Flag(), lambda: 0.0
        ), fake

    return start


def places(partitions: Collection[int], first: int) -> set[Place]:
    return {(item.partition, item.offset) for item in records_of(partitions, first)}


def test_the_next_batch_is_decoded_while_one_is_applied(started: Started) -> None:
    running, fake = started(records_of([A, B], 0), records_of([A, B], MANY))
    running.step()
    assert fake.decoded_meanwhile > 0
    running.step()
    assert fake.applied == [places([A, B], 0), places([A, B], MANY)]


def test_a_small_batch_waits_for_nobody(started: Started) -> None:
    running, fake = started(records_of([A], 0, 1), records_of([A], 1, 1))
    running.step()
    assert fake.applied == [{(A, 0)}]
    assert fake.decoded_meanwhile == 0


def test_what_was_lost_while_the_next_batch_was_taken_is_not_applied(started: Started) -> None:
    """It came back in the same call, and the next batch begins where it stands now."""
    running, fake = started(records_of([A, B], 0), records_of([A, B], MANY))
    fake.lost_in_take = {1: {A}}
    running.step()
    running.step()
    assert fake.applied == [places([B], 0), places([A, B], MANY)]


def test_what_was_lost_in_the_first_take_is_not_in_it(started: Started) -> None:
    running, fake = started(records_of([A, B], 0))
    fake.lost_in_take = {0: {A}}
    running.step()
    assert fake.applied == [places([A, B], 0)]


def test_what_was_lost_during_an_outage_is_in_neither_batch(started: Started) -> None:
    running, fake = started(records_of([A, B], 0), records_of([A, B], MANY))
    fake.failures, fake.lost_in_wait = [RetryLaterError("an outage")], {A}
    running.step()
    running.step()
    assert fake.applied == [places([B], 0), places([B], MANY)]


def test_what_is_read_again_is_not_applied_before(started: Started) -> None:
    running, fake = started(records_of([A], 0, 2 * MANY), records_of([A, B], 2 * MANY))
    fake.failures = [FenceBehindError({A: 0})]
    running.step()
    assert (fake.rewound, fake.restores) == ({A: 0}, 1)
    running.step()
    assert fake.applied == [places([B], 2 * MANY)]
