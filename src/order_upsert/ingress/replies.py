"""Requests that wait for their outcomes. Pure; used on the event loop only."""

import logging
from asyncio import Future
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from order_upsert.contracts.result import Outcome, Result, ResultError, decode_result

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Counts:
    """What the partner is told."""

    inserted: int = 0
    updated: int = 0
    skipped: int = 0

    def add(self, outcome: Outcome) -> None:
        if outcome is Outcome.INSERTED:
            self.inserted += 1
        elif outcome is Outcome.UPDATED:
            self.updated += 1
        else:
            self.skipped += 1


@dataclass(slots=True)
class _Pending:
    missing: int  # a bit for each index without an outcome: results may come twice, and in any order
    counts: Counts
    answer: "Future[Counts]"


class PendingReplies:
    """A bounded map from request to answer; whoever adds an entry removes it, so that each of them ends."""

    def __init__(self) -> None:
        self._pending: dict[bytes, _Pending] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, request_id: UUID, indexes: Iterable[int], counts: Counts, answer: "Future[Counts]") -> None:
        """`answer` gets `counts`, and in them the outcomes of `indexes`, when the last of them is known."""
        missing = 0
        for index in indexes:
            missing |= 1 << index
        self._pending[str(request_id).encode()] = _Pending(missing, counts, answer)

    def remove(self, request_id: UUID) -> None:
        self._pending.pop(str(request_id).encode(), None)

    def fail(self, request_id: UUID, error: Exception) -> None:
        pending = self._pending.get(str(request_id).encode())
        if pending is not None and not pending.answer.done():
            pending.answer.set_exception(error)

    def on_result(self, key: bytes | None, value: bytes | None) -> None:
        """A record of the results topic. Requests of other processes are ignored, without looking at the value."""
        if key is None or (pending := self._pending.get(key)) is None:
            return
        try:
            result = decode_result(value)
        except ResultError as error:
            _log.warning("reply for request %r: %s", key, error)
            return
        if str(result.request_id).encode() != key:
            _log.warning("reply for request %r holds the outcomes of %s; ignored", key, result.request_id)
            return
        _settle(pending, result)


def _settle(pending: _Pending, result: Result) -> None:
    for outcome, indexes in result.outcomes.items():
        for index in indexes:
            if pending.missing >> index & 1:
                pending.missing ^= 1 << index
                pending.counts.add(outcome)
    if not pending.missing and not pending.answer.done():
        pending.answer.set_result(pending.counts)
