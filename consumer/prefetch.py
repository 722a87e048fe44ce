"""Records that were taken before their turn, and are decoded a few at a time."""

from collections.abc import Callable, Collection, Sequence

from consumer.core.record import Batch, Decoded, Record

RECORDS_AT_ONCE = 32
"""To decode so many takes a few tenths of a millisecond."""


class Prefetched:
    """The result of one `Assignment.take`."""

    def __init__(self, records: Sequence[Record], starts: dict[int, int], decode: Callable[[Record], Decoded]) -> None:
        self._records = records
        self._starts = starts
        self._decode = decode
        self._decoded: list[Decoded] = []
        self._dropped: set[int] = set()

    def drop(self, partitions: Collection[int]) -> None:
        """Removes these partitions from the batch."""
        self._dropped.update(partitions)

    def decode_some(self) -> bool:
        """Decodes the next RECORDS_AT_ONCE. True if more are left."""
        done = len(self._decoded)
        self._decoded += map(self._decode, self._records[done : done + RECORDS_AT_ONCE])
        return len(self._decoded) < len(self._records)

    def batch(self) -> Batch:
        """All records, without the dropped partitions. Decodes the rest first."""
        while self.decode_some():
            pass
        return Batch(self._decoded, self._starts).without(self._dropped)
