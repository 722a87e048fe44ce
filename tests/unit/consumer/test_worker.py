"""Two batches at once: what becomes of them if a partition is revoked, or Postgres was restored.

No broker revokes a partition at a given moment, so the assignment and the applier are stand-ins. They pass the suites
of the real ones (test_stand_ins.py).
"""

from collections.abc import Callable, Collection, Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from consumer.core.record import Record
from consumer.kafka.producer import AcknowledgedProducer
from consumer.metrics import PHASES, ConsumerMetrics
from consumer.restore_barrier import RestoreBarrier
from consumer.retry import BACKOFF_MAX_S
from consumer.settings import ConsumerSettings
from consumer.vitals import STALLED_AFTER_S, Vitals
from consumer.worker import AHEAD_RECORDS_MIN, Worker
from support.events import record
from support.orders import an_order
from support.stand_ins import StandInApplier, StandInAssignment

A, B, C = 0, 1, 2
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
        self.answered: dict[int, int] = {}
        self.barrier = RestoreBarrier(lambda: self.answered, lambda _, ends: ends)
        self.session = cast(Any, SimpleNamespace(fence=SimpleNamespace(read=self._fence)))
        self.assignment, self.restores, self.now_s = StandInAssignment(), 0, 0.0
        self.stop, self.metrics = Vitals(lambda: self.now_s), ConsumerMetrics()
        self.applier = StandInApplier(lambda batch: self.barrier.require_passed(self.session, batch))
        self.assignment.assign({A: 0, B: 0})
        self._worker = Worker(
            settings,
            cast(Any, self.assignment),
            cast(Any, self.applier),
            AcknowledgedProducer(settings),  # nobody asks for a reply, so there is nothing to send
            self._fence,
            cast(Any, self),
            self.barrier,
            self._note_restore,
            self.stop,
            self.metrics,
            lambda: self.now_s,
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

    def look(self, positions: Mapping[int, int]) -> None:
        """The guard finds nothing."""
        self.looked_at = dict(positions)

    def is_restored(self, fence: dict[int, int]) -> None:
        """To these offsets, which ends all connections."""
        self.applier.fence = fence
        self.session = cast(Any, SimpleNamespace(fence=SimpleNamespace(read=self._fence)))

    def _fence(self) -> dict[int, int]:
        return {partition: self.applier.fence.get(partition, 0) for partition in (A, B, C)}

    def _note_restore(self) -> None:
        self.restores += 1
        self.barrier.suspect()


@pytest.fixture
def running() -> Running:
    return Running()


def test_a_client_that_has_read_markers_of_transactions_is_not_stuck(running: Running) -> None:
    """The guard compares with the end of the log."""
    running.assignment.markers[A] = 2
    running.arrives(records_of([A, B], 0))
    running.step()
    assert running.looked_at == {A: MANY + 2, B: MANY}


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


def applied_up_to(running: Running, *, a: int, b: int, c: int) -> None:
    """All three are answered so far. C belongs to another consumer."""
    running.assignment.write(records_of([A], 0, a))
    running.assignment.write(records_of([B], 0, b))
    running.assignment.assign({A: a, B: b})
    running.applier.fence = {A: a, B: b, C: c}
    running.answered = dict(running.applier.fence)


def test_new_events_wait_until_all_partitions_have_caught_up_after_a_restore(running: Running) -> None:
    applied_up_to(running, a=10, b=10, c=10)
    running.is_restored({A: 10, B: 4, C: 7})
    running.arrives([*records_of([A], 10, 2), *records_of([B], 10, 2)])
    for running.now_s in (1.0, 2.0, 3.0):
        running.step()
    assert running.applier.applied == [places([B], 4, 6)]  # B was answered up to 10
    assert running.restores == 1
    assert running.assignment.positions == {A: 10, B: 10}
    assert running.looked_at == {}  # the guard must not think that the client is stuck
    running.applier.fence[C] = 10  # the other consumer reads its events again
    for running.now_s in (4.0, 5.0):
        running.step()
    assert running.applier.applied[1:] == [{*places([A], 10, 2), *places([B], 10, 2)}]
    assert running.looked_at.keys() == {A, B}


def test_answered_does_not_go_back_while_events_are_applied_again(running: Running) -> None:
    """Else a consumer that starts meanwhile would see no restore."""
    applied_up_to(running, a=10, b=10, c=10)
    running.is_restored({A: 4, B: 10, C: 7})
    running.assignment.assign({A: 4})
    running.step()
    assert running.applier.applied == [places([A], 4, 6)]
    assert running.assignment.committed == {A: 10}


def test_an_idle_partition_of_ours_that_others_wait_for_is_read_again(running: Running) -> None:
    applied_up_to(running, a=10, b=10, c=10)
    running.is_restored({A: 4, B: 10, C: 10})
    running.arrives(records_of([B], 10, 1))
    for running.now_s in (1.0, 2.0, 3.0, 4.0):
        running.step()
    assert running.applier.applied == [places([A], 4, 6), places([B], 10, 1)]


def test_a_restore_in_an_outage_is_seen_before_the_batch_is_tried_again(running: Running) -> None:
    applied_up_to(running, a=10, b=10, c=10)
    running.arrives(records_of([A], 10, 1))
    running.applier.outages, running.assignment.in_wait = 1, lambda: running.is_restored({A: 10, B: 10, C: 0})
    running.step()
    assert running.applier.applied == []


def test_a_connection_that_outlived_the_restore_notices_it_within_a_check(running: Running) -> None:
    applied_up_to(running, a=10, b=10, c=10)
    running.arrives(records_of([A], 10, 1))
    for running.now_s in (6.0,):
        running.step()
    assert running.applier.applied == [places([A], 10, 1)]
    running.applier.fence[C] = 0
    running.now_s = 12.0
    running.step()
    running.arrives(records_of([A], 11, 1))
    running.step()
    assert running.applier.applied == [places([A], 10, 1)]


def test_a_call_that_hangs_is_told_and_an_outage_is_not_taken_for_it(running: Running) -> None:
    seen: list[bool] = []

    def hang() -> None:
        running.now_s += STALLED_AFTER_S + 1
        seen.append(running.stop.is_alive)

    def wait() -> None:
        running.now_s += BACKOFF_MAX_S
        seen.append(running.stop.is_alive)

    running.assignment.in_take.append(hang)
    running.step()
    assert seen == [False]
    running.arrives(records_of([A], 0, 1))
    running.applier.outages, running.assignment.in_wait = 100, wait
    running.step()
    assert seen[1:] == [True] * 100
    assert running.applier.applied == [{(A, 0)}]


def test_a_batch_is_counted_once_with_its_phases_and_what_was_tried_again(running: Running) -> None:
    running.step()  # with nothing to apply
    running.arrives(records_of([A], 0, 3))
    running.applier.outages = 2
    running.step()
    value = running.metrics.registry.get_sample_value
    assert value("orders_batch_records_sum") == 3
    assert value("orders_retries_total", {"sqlstate_class": "kafka"}) == 2
    assert {value("orders_batch_phase_seconds_count", {"phase": phase}) for phase in PHASES} == {1}
