"""Requests that wait for their outcomes. Pure; used on the event loop only."""

import logging
from asyncio import Future, get_running_loop
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from contracts.result import Outcomes, Result, ResultError, decode_results, outcomes_of
from ingress.errors import IngressError, KeyConflictError, PartlyRefusedError, TooLargeForKafkaError

REFUSALS_WAIT_S = 0.5
"""How long the other records of a request have to be refused too."""
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Answer:
    """The outcomes of all published items of a request. `stored`: the request was sent before, with its key."""

    outcomes: Outcomes = field(default_factory=lambda: outcomes_of(()))
    stored: bool = False


@dataclass(slots=True)
class Pending:
    """One request in flight, and how many HTTP requests wait for it. `done` gets the answer with the last outcome.

    Use `wait_for_done` or `asyncio.wait` with `done`. Awaiting it directly would cancel it for all when one of them
    gives up.
    """

    missing: int  # one bit for each index without an outcome, because results come in any order, also twice
    done: "Future[Answer]"
    answer: Answer = field(default_factory=Answer)
    waiting: int = 0
    published: int = 0
    """Records that were handed to the client library for it."""
    refused: int = 0
    """Those of them that Kafka will never take."""

    @property
    def is_joined(self) -> bool:
        """Whether more than one HTTP request waits, so that an earlier one has published it."""
        return self.waiting > 1

    def fail(self, error: IngressError) -> None:
        if not self.done.done():
            self.done.set_exception(error)
            self.done.exception()  # marks it as retrieved, so that asyncio logs no error if nobody waits any more


_NONE: Mapping[str | None, Pending] = {}


class PendingReplies:
    """A map from request to answer. An entry ends when the last HTTP request that waits for it ends.

    The key is the request's id and digest. Two bodies under one Idempotency-Key are two entries, and the consumer
    decides which body gets the key. Admission limits the number of entries.
    """

    def __init__(self) -> None:
        self._pending: dict[bytes, dict[str | None, Pending]] = {}

    def __len__(self) -> int:
        return len(self._pending)

    @contextmanager
    def waiting_for(self, request_id: UUID, digest: str | None, indexes: Iterable[int]) -> Iterator[Pending]:
        """The entry of this request, which is made if the request is not in flight yet."""
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

    def refuse(self, request_id: UUID) -> None:
        """Kafka will never take a record of this request, and did not write it.

        The others mostly follow at once. If all are refused, nothing of the request is or will be applied.
        """
        entries = self._pending.get(str(request_id).encode(), {})
        for pending in entries.values():
            pending.refused += 1
            if len(entries) == 1 and pending.refused == pending.published:
                pending.fail(TooLargeForKafkaError())
            elif pending.refused == 1:
                get_running_loop().call_later(REFUSALS_WAIT_S, pending.fail, PartlyRefusedError(request_id))

    def on_result(self, key: bytes | None, value: bytes | None) -> None:
        """Takes a record of the results topic. Ignores requests of other processes.

        A record of one request has its id as the key, so that of another process is not decoded.
        """
        if key is not None and key not in self._pending:
            return
        try:
            results = decode_results(value)
        except ResultError as error:
            _log.warning("reply for request %r: %s", key, error)
            return
        for result in results:
            own_key = result.request_id.encode()
            if key is not None and own_key != key:
                _log.warning("reply for request %r has the outcomes of request %s; ignored", key, result.request_id)
                continue
            pending = self._pending.get(own_key, _NONE).get(result.digest)
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
