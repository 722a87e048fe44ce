"""Requests that wait for their outcomes. Pure; used on the event loop only."""

import logging
from asyncio import Future, get_running_loop
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from contracts.result import Outcomes, Result, ResultError, decode_result, outcomes_of
from ingress.errors import IngressError, KeyConflictError

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Answer:
    """The outcomes of all published items of a request. `stored`: some of them were asked for before."""

    outcomes: Outcomes = field(default_factory=lambda: outcomes_of(()))
    stored: bool = False


@dataclass(slots=True)
class Pending:
    """One request in flight, however many wait for it. `done` gets the answer when the last outcome is known.

    Do not await `done` itself, but wait for it: whoever gives up would cancel it for the others.
    """

    missing: int  # a bit for each index without an outcome: results may come twice, and in any order
    done: "Future[Answer]"
    answer: Answer = field(default_factory=Answer)
    waiting: int = 0

    @property
    def is_joined(self) -> bool:
        """Whether it was in flight already when the newest asker came."""
        return self.waiting > 1

    def fail(self, error: IngressError) -> None:
        if not self.done.done():
            self.done.set_exception(error)
            self.done.exception()  # looked at: it is no mistake when nobody waits any more


class PendingReplies:
    """A bounded map from request to answer; who waits for an entry leaves it, so that each of them ends.

    A request is known by its id and its digest: two bodies under one Idempotency-Key are two requests here, and the
    consumer decides whose key it is.
    """

    def __init__(self) -> None:
        self._pending: dict[bytes, dict[str | None, Pending]] = {}

    def __len__(self) -> int:
        return len(self._pending)

    @contextmanager
    def waiting_for(self, request_id: UUID, digest: str | None, indexes: Iterable[int]) -> Iterator[Pending]:
        """The entry of this request, made where it is not in flight yet."""
        key = str(request_id).encode()
        entries = self._pending.setdefault(key, {})
        pending = entries.get(digest)
        if pending is None:
            missing = 0
            for index in indexes:
                missing |= 1 << index
            pending = entries[digest] = Pending(missing, get_running_loop().create_future())
        pending.waiting += 1
        try:
            yield pending
        finally:
            pending.waiting -= 1
            if not pending.waiting:
                del entries[digest]
                if not entries:
                    self._pending.pop(key, None)

    def fail(self, request_id: UUID, error: IngressError) -> None:
        for pending in self._pending.get(str(request_id).encode(), {}).values():
            pending.fail(error)

    def on_result(self, key: bytes | None, value: bytes | None) -> None:
        """A record of the results topic. Requests of other processes are ignored, without looking at the value."""
        if key is None or (entries := self._pending.get(key)) is None:
            return
        try:
            result = decode_result(value)
        except ResultError as error:
            _log.warning("reply for request %r: %s", key, error)
            return
        if str(result.request_id).encode() != key:
            _log.warning("reply for request %r holds the outcomes of %s; ignored", key, result.request_id)
            return
        pending = entries.get(result.digest)
        if pending is not None:
            _settle(pending, result)


def _settle(pending: Pending, result: Result) -> None:
    if result.conflict:
        pending.fail(KeyConflictError())
        return
    for outcome, indexes in result.outcomes.items():
        for index in indexes:
            if pending.missing >> index & 1:
                pending.missing ^= 1 << index
                pending.answer.outcomes[outcome].append(index)
                pending.answer.stored |= result.stored
    if not pending.missing and not pending.done.done():
        pending.done.set_result(pending.answer)
