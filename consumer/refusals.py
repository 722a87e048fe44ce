"""Counts what Postgres refuses: rows that are refused one after the other, and transactions that are too large.

Pure: no client library, no clock.
"""

from collections.abc import Collection, Sequence

from consumer.core.batch import Batch
from consumer.core.record import OrderKey

IN_A_ROW_MAX = 100
"""After this number of orders, all refused one after the other and for one reason, the tables are to blame."""
SLOWLY_IN_A_ROW_MAX = 10
SLOWLY_S = 600.0
"""If orders arrive slowly, fewer are enough: none was accepted in all this time."""
KNOWN_MAX = 5
_SEVERAL = 2
GROWS_AFTER = 8


class Refusals:
    """Counts the orders that were refused one after the other for one reason, with none accepted between them."""

    def __init__(self) -> None:
        self._reason = ""
        self._count = 0
        self._since_s = 0.0
        self._partners: set[str] = set()
        self._known: dict[str, OrderKey] = {}

    @property
    def known(self) -> Sequence[OrderKey]:
        """Orders whose rows were accepted lately, one of each partner."""
        return list(self._known.values())

    @property
    def are_some(self) -> bool:
        """Whether so many were refused that other rows than the known ones may tell why."""
        return self._count > SLOWLY_IN_A_ROW_MAX

    def are_of_one_among(self, partners: Collection[str]) -> bool:
        """Whether all that were refused are of one partner, and there are others."""
        return len(self._partners) < _SEVERAL and not self._partners.issuperset(partners)

    def accept(self, keys: Sequence[OrderKey]) -> None:
        """Rows of these orders were written. Called for each batch, so a partner that is known costs no call."""
        self._count = 0
        known = self._known
        for key in keys:
            if key[0] not in known and len(known) >= KNOWN_MAX:
                del known[next(iter(known))]
            known[key[0]] = key

    def refuse(self, reason: str, partner_id: str, now_s: float) -> bool:
        """Counts one more. True if there are so many that the rows cannot be to blame."""
        if reason != self._reason or not self._count:
            self._reason, self._count, self._since_s = reason, 0, now_s
            self._partners.clear()
        self._count += 1
        if len(self._partners) < _SEVERAL:
            self._partners.add(partner_id)
        is_slow = self.are_some and now_s - self._since_s > SLOWLY_S
        return is_slow or self._count > IN_A_ROW_MAX


class Portion:
    """How many records go into one transaction. Fewer while more take too long, or too much memory."""

    def __init__(self) -> None:
        self._records_max: int | None = None
        self._failed = False
        self._succeeded = 0

    def cut(self, batch: Batch) -> tuple[Batch, Batch | None]:
        """The first part of the batch, and the rest if it is too large for one transaction."""
        size = self._records_max
        return (batch, None) if size is None or len(batch) <= size else batch.cut(size)

    def fail(self, records: int) -> None:
        """The first time, it may have been the lock of another session. From the second time on, the size is halved."""
        if self._failed or self._records_max is not None:
            self._records_max = max(1, records // 2)
        self._failed = True
        self._succeeded = 0

    def succeed(self, records: int) -> None:
        """After some successes the size grows by a half, so a limit that stays is met seldom."""
        self._failed = False
        if self._records_max is None or records < self._records_max:
            return
        self._succeeded += 1
        if self._succeeded >= GROWS_AFTER:
            self._succeeded = 0
            self._records_max += (self._records_max + 1) // 2
