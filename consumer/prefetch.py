"""Records that were taken before their turn, and are decoded a few at a time."""

from collections.abc import Callable, Collection, Sequence
from typing import Generic, TypeVar

from consumer.core.batch import Batch, Columns

RECORDS_AT_ONCE = 64
"""To decode so many takes a few tenths of a millisecond."""

Item = TypeVar("Item")


class Prefetched(Generic[Item]):
    """The result of one `Assignment.take`."""

    def __init__(
        self, taken: Sequence[Item], starts: dict[int, int], decode: Callable[[Sequence[Item], Columns], None]
    ) -> None:
        """`decode` appends to the columns."""
        self._left = [taken[at : at + RECORDS_AT_ONCE] for at in range(0, len(taken), RECORDS_AT_ONCE)][::-1]
        self._starts = starts
        self._decode = decode
        self._columns = Columns()
        self._dropped: set[int] = set()

    def drop(self, partitions: Collection[int]) -> None:
        """Removes these partitions from the batch."""
        self._dropped.update(partitions)

    def decode_some(self) -> bool:
        """Decodes the next RECORDS_AT_ONCE, and lets go of what was taken. True if more are left."""
        if self._left:
            self._decode(self._left.pop(), self._columns)
        return bool(self._left)

    def batch(self) -> Batch:
        """All records, without the dropped partitions. Decodes the rest first."""
        while self.decode_some():
            pass
        return Batch(self._columns, self._columns.runs, self._starts).without(self._dropped)
