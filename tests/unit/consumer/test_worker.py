"""Two batches at once: what becomes of them if a partition is revoked, or Postgres was restored.

No broker revokes a partition at a given moment, so the assignment and the applier are stand-ins. They pass the suites
of the real ones (test_stand_ins.py).
"""

from collections.abc import Callable, Collection
from threading import Event as Flag
from typing import Any, cast

import pytest

from consumer.core.record import Record
from consumer.kafka.producer import AcknowledgedProducer
from consumer.settings import ConsumerSettings
from consumer.worker import AHEAD_RECORDS_MIN, Worker
from support.events import record
from support.orders import an_order
from support.stand_ins import StandInApplier, StandInAssignment

A, B = 0, 1
MANY = AHEAD_RECORDS_MIN // 2  # of each partition


def records_of(partitions: Collection[int], first: int, count: int = MANY) -> list[Record]:
    one = record(an_order("O-1"), 0)
    return [
        Record(partition, offset, one.time_ms, one.key, one.value, one.headers)
        for partition in partitions
        for offset in range(first, first + count)
    ]


def places(partitions: Collection[int], first: int, count: int = MANY) -> set[tuple[int, int]]:
    return {(item.partition, item.offset) for item in records_of(partitions, first, count)}


class Running:
    """A worker without a broker and a database, which has the partitions A and B."""

    def __init__(self) -> None:
        settings = ConsumerSettings(kafka_bootstrap="127.0.0.1:1", postgres_url="postgresql:///")
        self.assignment, self.applier, self.restores = StandInAssignment(), StandInApplier(), 0
        self.assignment.assign({A: 0, B: 0})
        self._worker = Worker(
            settings,
            cast(Any, self.assignment),
            cast(Any, self.applier),
            AcknowledgedProducer(settings),  # nobody asks for a reply, so there is nothing to send
            lambda partitions: {partition: self.applier.fence.get(partition, 0) for partition in partitions},
            self._note_restore,
            Flag(),
            lambda: 0.0,
        )
        self.step = self._worker.step

    def arrives(self, records: list[Record], *events: Callable[[], None]) -> None:
        """In the next take that has no records yet; before it, the events happen."""

        def arrive() -> None:
            for event in events:
                event()
            self.assignment.write(records)

        self.assignment.in_take.append(arrive)

    def comes_back(self, partition: int, offset: int) -> None:
        """Another consumer had this partition for a moment, and applied it up to `offset`."""
        self.assignment.revoke(partition)
        self.applier.fence[partition] = offset
        self.assignment.assign({partition: offset})

    def _note_restore(self) -> None:
        self.restores += 1


@pytest.fixture
def running() -> Running:
    return Running()


def test_the_next_batch_is_decoded_while_one_is_applied(running: Running) -> None:
    running.arrives(records_of([A, B], 0))
    running.arrives(records_of([A, B], MANY))
    running.step()
    assert running.applier.worked_meanwhile > 0
    running.step()
    assert running.applier.applied == [places([A, B], 0), places([A, B], MANY)]
    assert running.assignment.committed == {A: 2 * MANY, B: 2 * MANY}


def test_a_small_batch_waits_for_no_other(running: Running) -> None:
    running.arrives(records_of([A], 0, 1))
    running.arrives(records_of([A], 1, 1))
    running.step()
    assert running.applier.applied == [{(A, 0)}]
    assert running.applier.worked_meanwhile == 0


def test_a_partition_revoked_while_the_next_batch_is_taken_is_not_applied(running: Running) -> None:
    """It comes back in the same call, and the next batch begins where it stands now."""
    running.arrives(records_of([A, B], 0))
    running.arrives(records_of([A, B], MANY), lambda: running.comes_back(A, MANY))
    running.step()
    running.step()
    assert running.applier.applied == [places([B], 0), places([A, B], MANY)]


def test_the_first_take_has_no_record_of_before_a_revocation_in_it(running: Running) -> None:
    running.arrives(records_of([A, B], 0), lambda: running.comes_back(A, 0))
    running.step()
    assert running.applier.applied == [places([A, B], 0)]


def test_a_partition_revoked_in_an_outage_is_in_neither_batch(running: Running) -> None:
    running.arrives(records_of([A, B], 0))
    running.arrives(records_of([A, B], MANY))
    running.applier.outages, running.assignment.in_wait = 1, lambda: running.assignment.revoke(A)
    running.step()
    running.step()
    assert running.applier.applied == [places([B], 0), places([B], MANY)]


def test_after_a_restore_nothing_is_applied_before_it_is_read_again(running: Running) -> None:
    running.assignment.write(records_of([A], 0, 3 * MANY))
    running.assignment.assign({A: MANY})  # applied up to here, until Postgres was restored
    running.arrives([])
    running.arrives([*records_of([A], 3 * MANY), *records_of([B], 0)])
    running.step()
    assert running.applier.applied == []
    assert (running.assignment.positions[A], running.restores) == (0, 1)
    running.step()
    running.step()
    assert running.applier.applied == [places([B], 0), places([A], 0, 4 * MANY)]
