"""Stand-ins for Kafka and Postgres in the tests of the worker: no broker revokes a partition at a given moment.

Each stand-in passes the same suite as the real part (support/contract_of_the_assignment.py and
contract_of_the_applier.py).
"""

from collections.abc import Callable, Collection, Mapping

from consumer.applied import Applied, FenceBehindError
from consumer.core.batch import Batch
from consumer.core.record import Record, Work
from consumer.errors import RetryLaterError


class StandInAssignment:
    """Partitions in memory. `in_take` and `in_wait` are called within the next take or wait, as a rebalance is."""

    def __init__(self) -> None:
        self._log: dict[int, list[Record]] = {}
        self._positions: dict[int, int] = {}
        self._revoked: set[int] = set()
        self._held: set[int] = set()
        self.committed: dict[int, int] = {}
        self.markers: dict[int, int] = {}
        """By partition, how many markers of transactions stand behind its last record."""
        self.in_take: list[Callable[[], None]] = []
        self.in_wait: Callable[[], None] = lambda: None

    def write(self, records: list[Record]) -> None:
        """Appends to the partitions, in the order of their offsets."""
        for record in records:
            self._log.setdefault(record.partition, []).append(record)
            assert record.offset == len(self._log[record.partition]) - 1

    def assign(self, offsets: Mapping[int, int]) -> None:
        self._positions.update(offsets)

    def revoke(self, *partitions: int) -> None:
        for partition in partitions:
            del self._positions[partition]
            self._held.discard(partition)
            self._revoked.add(partition)

    # what the worker uses

    @property
    def positions(self) -> Mapping[int, int]:
        return self._positions

    @property
    def read_to(self) -> Mapping[int, int]:
        return {partition: position + self.markers.get(partition, 0) for partition, position in self.positions.items()}

    @property
    def held(self) -> Collection[int]:
        return self._held

    def take(self, records_max: int, timeout_s: float) -> tuple[list[Record], dict[int, int]]:
        if self.in_take:
            self.in_take.pop(0)()
        records: list[Record] = []
        starts: dict[int, int] = {}
        for partition, position in self._positions.items():
            if partition in self._held:
                continue
            found = self._log.get(partition, [])[position : position + records_max - len(records)]
            if found:
                starts[partition] = position
                self._positions[partition] = position + len(found)
                records += found
        return records, starts

    def wait(self, duration_s: float) -> None:
        self.in_wait()

    def drain_revoked(self) -> set[int]:
        revoked, self._revoked = self._revoked, set()
        return revoked

    def rewind(self, offsets: Mapping[int, int]) -> None:
        self._held.difference_update(offsets)
        self._go_to(offsets)

    def hold(self, offsets: Mapping[int, int]) -> None:
        self._held.update(offsets.keys() & self._positions.keys())
        self._go_to(offsets)

    def release(self) -> None:
        self._held.clear()

    def _go_to(self, offsets: Mapping[int, int]) -> None:
        self._positions.update({partition: offsets[partition] for partition in offsets.keys() & self._positions.keys()})

    def commit(self, next_offsets: Mapping[int, int]) -> None:
        self.committed.update(next_offsets)


class StandInApplier:
    """A fence in memory. `outages`: how many calls fail before the next one is applied.

    `require_passed` is called with each batch, as the barrier of the real one.
    """

    def __init__(self, require_passed: Callable[[Batch], None] = lambda _: None) -> None:
        self._require_passed = require_passed
        self.fence: dict[int, int] = {}
        self.outages = 0
        self.applied: list[set[tuple[int, int]]] = []
        """Partition and offset of what each call applied."""
        self.worked_meanwhile = 0

    def apply(self, batch: Batch, meanwhile: Work | None = None) -> Applied:
        if self.outages:
            self.outages -= 1
            raise RetryLaterError("an outage")
        self._require_passed(batch)
        behind = {p: self.fence.get(p, 0) for p, start in batch.starts.items() if self.fence.get(p, 0) < start}
        if behind:
            raise FenceBehindError(behind)
        while meanwhile is not None and meanwhile():
            self.worked_meanwhile += 1
        records = [decoded.record for decoded in batch.items]
        new = {(r.partition, r.offset) for r in records if r.offset >= self.fence.get(r.partition, 0)}
        self.fence.update({p: max(end, self.fence.get(p, 0)) for p, end in batch.ends.items()})
        self.applied.append(new)
        return Applied([], bool(new))
