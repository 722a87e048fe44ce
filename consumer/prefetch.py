"""Records that were taken and are being decoded, a few at a time."""

from collections.abc import Callable, Collection, Sequence

from consumer.core.record import Batch, Decoded, Record

RECORDS_AT_ONCE = 32
"""Decoding these takes some tenths of a millisecond."""


class Prefetched:
    """What one `Assignment.take` gave."""

    def __init__(self, records: Sequence[Record], starts: dict[int, int], decode: Callable[[Record], Decoded]) -> None:
        self._records = records
        self._starts = starts
        self._decode = decode
        self._decoded: list[Decoded] = []
        self._dropped: set[int] = set()

    def drop(self, partitions: Collection[int]) -> None:
        """Leaves them out of the batch."""
        self._dropped.update(partitions)

    def decode_some(self) -> bool:
        """Whether any are left."""
        done = len(self._decoded)
        self._decoded += map(self._decode, self._records[done : done + RECORDS_AT_ONCE])
        return len(self._decoded) < len(self._records)

    def batch(self) -> Batch:
        """All of them, but for what was dropped."""
        while self.decode_some():
            pass
        return Batch(self._decoded, self._starts).without(self._dropped)
