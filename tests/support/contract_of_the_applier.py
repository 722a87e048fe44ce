"""What the worker expects of an applier: one suite for the real one and its stand-in (support/stand_ins.py)."""

from typing import Protocol

import pytest

from consumer.applied import FenceBehindError
from consumer.applier import Applier
from consumer.core.batch import Batch
from consumer.errors import RetryLaterError
from support.events import batch, event
from support.stand_ins import StandInApplier


class ApplierWorld(Protocol):
    """An applier on empty tables, and what happens to them."""

    @property
    def applier(self) -> Applier | StandInApplier: ...

    def fence(self) -> dict[int, int]:
        """The watermark *applied* of each partition in which it is above 0."""

    def put_back(self) -> None:
        """Postgres is restored to its empty state."""

    def interrupt(self) -> None:
        """The next call meets an outage."""


class ApplierContract:
    """Subclasses have a fixture `world`."""

    def test_a_batch_moves_the_fence_to_its_end_and_changes_rows_once(self, world: ApplierWorld) -> None:
        first = batch_of(0, 1, 2)
        assert world.applier.apply(first).changes_rows
        assert world.fence() == first.ends
        assert not world.applier.apply(first).changes_rows
        assert world.fence() == first.ends

    def test_after_a_restore_it_says_where_to_begin_again_and_applies_nothing(self, world: ApplierWorld) -> None:
        world.applier.apply(batch_of(0, 1))
        world.put_back()
        with pytest.raises(FenceBehindError) as behind:
            world.applier.apply(batch_of(2, 3))
        assert behind.value.next_offsets == dict.fromkeys(batch_of(0).starts, 0)
        assert world.fence() == {}

    def test_an_outage_applies_nothing_and_the_same_batch_can_be_applied_after_it(self, world: ApplierWorld) -> None:
        world.applier.apply(batch_of(0))
        world.interrupt()
        with pytest.raises(RetryLaterError):
            world.applier.apply(batch_of(1))
        assert world.fence() == batch_of(0).ends
        assert world.applier.apply(batch_of(1)).changes_rows
        assert world.fence() == batch_of(1).ends

    @pytest.mark.parametrize("left", [0, 3])
    def test_other_work_meanwhile_changes_nothing(self, world: ApplierWorld, left: int) -> None:
        work = iter([True] * left)
        assert world.applier.apply(batch_of(0), lambda: next(work, False)).changes_rows
        assert world.fence() == batch_of(0).ends


def batch_of(*offsets: int) -> Batch:
    """Versions of one order."""
    return batch([event(offset, f"version {offset}", request=offset + 1) for offset in offsets])
