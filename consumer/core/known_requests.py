"""What is applied of the last requests, so that not every batch asks the ledger again. Pure: no client, no clock.

A backlog is read partition by partition. So a request of many orders is in many batches, and each of them would read
all that the ones before have written.
"""

from collections.abc import Iterable, Mapping
from datetime import date

from contracts.event import BodyKey, RequestKey

REQUESTS_MAX = 4096
"""How many requests are remembered. One more clears them all: the events of a request come close together."""


class KnownRequests:
    """Requests without an Idempotency-Key, and the indexes of theirs that the ledger has since a day.

    Copies of an event are in one partition, and whoever applies an event moves the fence of its partition. So this is
    what the ledger says about the events of a partition, for as long as its fence stands where we have left it.

    That is so while no fence goes back. After a restore, a fence may stand again where we left it, before others moved
    it and we read what they had applied. So all is forgotten with each new session and each restore that is noticed.
    """

    def __init__(self) -> None:
        self._since = date.min
        self._left_at: Mapping[int, int] = {}
        self._masks: dict[BodyKey, int] = {}
        self._uncommitted: tuple[Mapping[BodyKey, int], Mapping[int, int]] = {}, {}

    def unknown(self, requests: Iterable[RequestKey], since: date) -> set[RequestKey]:
        """Those of which the ledger has to be asked."""
        if since != self._since:
            self._masks.clear()
            self._since = since
        return {request for request in requests if BodyKey(request, None) not in self._masks}

    def holds(self, fence: Mapping[int, int]) -> bool:
        """Whether the fence of some partitions, which we have locked, stands where we have left it."""
        return all(self._left_at.get(partition) == offset for partition, offset in fence.items())

    def forget(self, fence: Mapping[int, int]) -> None:
        """`fence`: that of all partitions, or of none. The ledger has to be asked after it was read."""
        self._masks.clear()
        self._left_at = fence
        self._uncommitted = {}, {}

    def masks(self, body_keys: Iterable[BodyKey]) -> dict[BodyKey, int]:
        """The indexes that are known, as bits."""
        return {body_key: self._masks[body_key] for body_key in body_keys if body_key in self._masks}

    def note(self, masks: Mapping[BodyKey, int], left_at: Mapping[int, int]) -> None:
        """What counts after a commit: all indexes of some requests that have an outcome then, and the fence."""
        self._uncommitted = masks, left_at

    def commit(self) -> None:
        masks, left_at = self._uncommitted
        if len(self._masks) + len(masks) > REQUESTS_MAX:
            self._masks.clear()
        self._masks.update((body_key, mask) for body_key, mask in masks.items() if body_key.digest is None)
        self._left_at = {**self._left_at, **left_at}
