"""Which partitions wait for the end of a transaction of another writer. Pure: no client, no clock."""

from collections.abc import Mapping

OPEN_S = 5.0
"""A transaction that has been open for so long is told of."""


class OpenTransactions:
    """Tells of each such partition once, and when it goes on."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[int, float]] = {}
        self._told: set[int] = set()

    def look(self, readable: Mapping[int, int], ends: Mapping[int, int], now_s: float) -> list[str]:
        """What there is to say now. `readable`: for each partition of ours, the offset from which on nothing can be
        read yet. `ends`: the end of its log, of the same moment or a little later.

        Without a transaction, both are the same, or `readable` moves until the next look.
        """
        before, told = self._open, self._told
        waiting = {partition: first for partition, first in readable.items() if ends[partition] > first}
        same = {p for p, first in waiting.items() if p in before and before[p][0] == first}
        self._open = {p: before[p] if p in same else (first, now_s) for p, first in waiting.items()}
        found = {p for p in same - told if now_s - before[p][1] >= OPEN_S}
        ended = (told - same) & readable.keys()
        self._told = (told & same) | found
        return [_open(p, *before[p], ends[p], now_s) for p in sorted(found)] + [
            f"Partition {p}: the transaction at offset {before[p][0]} ended after {now_s - before[p][1]:.0f} s or more"
            for p in sorted(ended)
        ]


def _open(partition: int, first: int, since_s: float, end: int, now_s: float) -> str:
    return (
        f"Partition {partition}: for {now_s - since_s:.0f} s or more, a transaction of another writer has been open at "
        f"offset {first}. {end - first} records wait for its end, and requests with orders among them are answered "
        "with 504. The brokers end it after the transaction.timeout.ms of its producer; their setting "
        "transaction.max.timeout.ms bounds that (by default 15 minutes)"
    )
