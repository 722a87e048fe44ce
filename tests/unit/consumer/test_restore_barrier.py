"""The barrier by itself: what waits after a restore, and when it falls."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from consumer.core.batch import Batch
from consumer.restore_barrier import AheadOfRestoreError, RestoreBarrier
from support.events import event

ITEM = event(0)
P = ITEM.record.partition
Q = (P + 1) % 12


def session(fence: Mapping[int, int]) -> Any:
    everywhere = {**dict.fromkeys(range(12), 0), **fence}
    return cast(Any, SimpleNamespace(fence=SimpleNamespace(read=lambda: everywhere)))


def batch_from(start: int, count: int) -> Batch:
    """In the partition P."""
    return Batch.of([event(offset, request=offset + 1) for offset in range(start, start + count)], {P: start})


def barrier_of(answered: dict[int, int], ends: Mapping[int, int] | None = None) -> RestoreBarrier:
    return RestoreBarrier(lambda: answered, lambda _, given: given if ends is None else ends)


def test_without_a_restore_nothing_waits_and_kafka_is_asked_once_a_session() -> None:
    asked: list[int] = []

    def read_answered() -> dict[int, int]:
        asked.append(1)
        return {P: 5, Q: 7}

    barrier, first = RestoreBarrier(read_answered, lambda _, ends: ends), session({P: 5, Q: 8})
    for _ in range(3):
        barrier.require_passed(first, batch_from(5, 2))
    assert (len(asked), barrier.answered, barrier.session) == (1, {}, first)
    barrier.require_passed(session({P: 5, Q: 8}), batch_from(5, 2))
    assert len(asked) == 2


def test_only_what_was_answered_before_a_restore_is_applied() -> None:
    barrier, restored = barrier_of({P: 5, Q: 7}), session({P: 3, Q: 6})
    barrier.require_passed(restored, batch_from(3, 2))
    with pytest.raises(AheadOfRestoreError) as ahead:
        barrier.require_passed(restored, batch_from(3, 4))
    assert ahead.value.starts == {P: 5}
    assert [item.record.offset for item in batch_from(3, 4).below(ahead.value.starts).items] == [3, 4]
    nothing = batch_from(5, 1).below(ahead.value.starts)
    assert (nothing.items, nothing.starts) == ([], {})
    assert barrier.not_below_answered({P: 4}) == {P: 5}


def test_a_partition_without_a_committed_offset_has_only_new_events() -> None:
    with pytest.raises(AheadOfRestoreError):
        barrier_of({Q: 7}).require_passed(session({Q: 6}), batch_from(0, 1))


def test_it_falls_when_the_last_partition_has_caught_up() -> None:
    barrier = barrier_of({P: 5, Q: 7})
    restored = session({P: 5, Q: 6})
    with pytest.raises(AheadOfRestoreError):
        barrier.require_passed(restored, batch_from(5, 1))
    assert barrier.notice({P: 5, Q: 6})
    assert not barrier.notice({P: 5, Q: 7})
    barrier.require_passed(restored, batch_from(5, 1))


def test_offsets_without_records_keep_no_barrier() -> None:
    """Behind the fence of Q are only markers of transactions, or the log ends."""
    barrier_of({P: 5, Q: 7}, ends={Q: 6}).require_passed(session({P: 5, Q: 6}), batch_from(5, 1))


def test_a_fence_that_goes_back_means_a_restore_also_without_a_new_session() -> None:
    barrier, only = barrier_of({P: 5, Q: 7}), session({P: 5, Q: 7})
    barrier.require_passed(only, batch_from(5, 1))
    only.fence.read = lambda: {P: 6, Q: 2}
    barrier.notice({P: 6, Q: 2})
    with pytest.raises(AheadOfRestoreError):
        barrier.require_passed(only, batch_from(6, 1))
