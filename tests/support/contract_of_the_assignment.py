"""What the worker expects of an assignment: one suite for the real one and its stand-in (support/stand_ins.py)."""

from collections.abc import Callable, Sequence
from typing import Protocol

from consumer.core.record import Record
from consumer.kafka.assignment import Assignment
from consumer.kafka.message import Taken, record_of
from support.stand_ins import StandInAssignment
from support.waiting import eventually

PARTITIONS = range(12)
TAKE_S = 0.1


class AssignmentWorld(Protocol):
    """An assignment with all partitions, and what happens around it. Nothing is written, applied or answered yet."""

    @property
    def assignment(self) -> Assignment | StandInAssignment: ...

    def write(self, partition: int, count: int) -> None:
        """Appends `count` records to a partition."""

    def lose_some(self, step: Callable[[], object]) -> None:
        """Another member joins and takes partitions. Calls `step` until then: a rebalance needs both members."""

    def get_all_back(self, step: Callable[[], object]) -> None:
        """The other member leaves."""

    def committed(self) -> dict[int, int]:
        """The watermark *answered* of each partition that has one."""


class AssignmentContract:
    """Subclasses have a fixture `world`."""

    def test_a_take_has_the_records_of_each_partition_in_order_and_where_they_begin(
        self, world: AssignmentWorld
    ) -> None:
        world.write(1, 3)
        world.write(2, 2)
        assert places(collect(world, 5)) == {1: [0, 1, 2], 2: [0, 1]}
        assert {partition: world.assignment.positions[partition] for partition in (0, 1, 2)} == {0: 0, 1: 3, 2: 2}
        world.write(1, 1)
        assert places(collect(world, 1)) == {1: [3]}

    def test_a_take_is_empty_if_nothing_arrives(self, world: AssignmentWorld) -> None:
        assert world.assignment.take(100, TAKE_S) == ([], {})

    def test_a_take_has_no_more_records_than_asked_for(self, world: AssignmentWorld) -> None:
        world.write(1, 5)
        assert places(collect(world, 5, records_max=2)) == {1: [0, 1, 2, 3, 4]}

    def test_revoked_partitions_are_named_once_and_not_read(self, world: AssignmentWorld) -> None:
        world.lose_some(lambda: self.take_nothing(world))
        lost = world.assignment.drain_revoked()
        kept = set(world.assignment.positions)
        assert lost
        assert lost == set(PARTITIONS) - kept
        assert world.assignment.drain_revoked() == set()
        for partition in (min(lost), min(kept)):
            world.write(partition, 1)
        assert places(collect(world, 1)) == {min(kept): [0]}

    def test_a_partition_that_comes_back_is_named_and_read_from_the_watermarks_on(self, world: AssignmentWorld) -> None:
        for partition in PARTITIONS:
            world.write(partition, 1)
        collect(world, 12)
        world.lose_some(lambda: self.take_nothing(world))
        lost = set(PARTITIONS) - set(world.assignment.positions)
        found: list[Record] = []
        world.get_all_back(lambda: found.extend(records(world.assignment.take(100, TAKE_S)[0])))
        assert world.assignment.drain_revoked() == lost
        found += collect(world, len(lost) - len(found))
        assert places(found) == {partition: [0] for partition in lost}

    def test_a_wait_loses_no_record_and_notices_what_is_revoked(self, world: AssignmentWorld) -> None:
        world.write(1, 2)
        world.assignment.wait(TAKE_S)
        assert places(collect(world, 2)) == {1: [0, 1]}
        world.lose_some(lambda: world.assignment.wait(TAKE_S))
        assert world.assignment.drain_revoked() == set(PARTITIONS) - set(world.assignment.positions) != set()

    def test_a_rewind_reads_again_and_ignores_partitions_that_are_not_ours(self, world: AssignmentWorld) -> None:
        world.write(1, 3)
        collect(world, 3)
        world.assignment.rewind({1: 1, 99: 0})
        assert places(collect(world, 2)) == {1: [1, 2]}

    def test_what_is_held_is_not_read_before_its_release(self, world: AssignmentWorld) -> None:
        world.write(1, 3)
        world.write(2, 1)
        collect(world, 4)
        world.assignment.hold({1: 1, 99: 0})
        assert set(world.assignment.held) == {1}
        assert world.assignment.positions[1] == 1
        world.write(2, 1)
        assert places(collect(world, 1)) == {2: [1]}
        world.assignment.wait(TAKE_S)
        self.take_nothing(world)
        world.assignment.release()
        assert set(world.assignment.held) == set()
        assert places(collect(world, 2)) == {1: [1, 2]}
        world.assignment.hold({1: 3})
        world.assignment.rewind({1: 2})
        assert places(collect(world, 1)) == {1: [2]}

    def test_what_was_held_and_revoked_is_read_when_it_comes_back(self, world: AssignmentWorld) -> None:
        world.assignment.hold(dict.fromkeys(PARTITIONS, 0))
        world.lose_some(lambda: self.take_nothing(world))
        lost = set(PARTITIONS) - set(world.assignment.positions)
        assert set(world.assignment.held) == set(PARTITIONS) - lost
        for partition in PARTITIONS:
            world.write(partition, 1)
        found: list[Record] = []
        world.get_all_back(lambda: found.extend(records(world.assignment.take(100, TAKE_S)[0])))
        found += collect(world, len(lost) - len(found))
        assert places(found) == {partition: [0] for partition in lost}

    def test_a_commit_arrives_soon(self, world: AssignmentWorld) -> None:
        world.write(1, 2)
        collect(world, 2)
        world.assignment.commit({1: 2})
        eventually(lambda: self.take_nothing(world) and world.committed()[1] == 2)

    def take_nothing(self, world: AssignmentWorld) -> bool:
        assert world.assignment.take(100, TAKE_S) == ([], {})
        return True


def collect(world: AssignmentWorld, count: int, records_max: int = 100) -> list[Record]:
    """The next `count` records, in as many takes as it needs. Each partition is read without a gap."""
    found: list[Record] = []

    def is_enough() -> bool:
        taken, starts = world.assignment.take(records_max, TAKE_S)
        assert len(taken) <= records_max
        assert starts.keys() == places(records(taken)).keys()
        for partition, offsets in places(records(taken)).items():
            assert offsets == list(range(starts[partition], world.assignment.positions[partition]))
        found.extend(records(taken))
        return len(found) >= count

    eventually(is_enough, not_yet=())
    assert len(found) == count
    return found


def records(taken: Sequence[Taken]) -> list[Record]:
    return [item if isinstance(item, Record) else record_of(item) for item in taken]


def places(records: list[Record]) -> dict[int, list[int]]:
    """Partition -> offsets, in the order of the records."""
    found: dict[int, list[int]] = {}
    for record in records:
        found.setdefault(record.partition, []).append(record.offset)
    return found
