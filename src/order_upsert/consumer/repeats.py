"""Events of requests with an Idempotency-Key: which of them are to be applied. Pure: no client library, no clock.

Whoever asks again publishes the same events again, with the same digest: same index, same order, same partition. So the
first of them by offset is applied, and every later one is a repeat; a replay finds the same. Two bodies under one key
may stand in different partitions, whose offsets say nothing about each other: the key belongs to the first committed
one, and the dead letters of the other keep that decision for ever (`Lost`).
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from order_upsert.consumer.record import Decoded, Rejected
from order_upsert.contracts.record import EventContext, Request

CONFLICT = "IdempotencyConflict"


@dataclass(slots=True)
class Lost:
    """Requests that lost their key to another body, as their dead letters tell, with the times of the letters.

    A key may be used again when the ledger has forgotten it, so a letter speaks only for the events around its time.
    """

    kept: timedelta = timedelta()
    times: dict[tuple[Request, str], list[datetime]] = field(default_factory=dict)

    def add(self, context: EventContext, time: datetime) -> None:
        if context.digest is not None:
            self.times.setdefault((context.request, context.digest), []).append(time)

    def includes(self, decoded: Decoded) -> bool:
        context = decoded.context
        if not self.times or context is None or context.digest is None:
            return False
        times = self.times.get((context.request, context.digest), ())
        return any(abs(time - decoded.record.time) < self.kept for time in times)


@dataclass(slots=True)
class Sorted:
    """`conflicts` were not applied and never will be; `repeats` were applied before, or are in `fresh` already."""

    fresh: list[Decoded] = field(default_factory=list)
    repeats: list[Decoded] = field(default_factory=list)
    conflicts: list[Rejected] = field(default_factory=list)


def digests(records: Iterable[Decoded]) -> dict[Request, tuple[str, datetime]]:
    """For each request with a key, what would own it if nobody does: the first digest, and the time of its event."""
    found: dict[Request, tuple[str, datetime]] = {}
    for decoded in records:
        if decoded.context is not None and decoded.context.digest is not None:
            found.setdefault(decoded.context.request, (decoded.context.digest, decoded.record.time))
    return found


def sort(records: Iterable[Decoded], owners: Mapping[Request, str], applied: Mapping[Request, Set[int]]) -> Sorted:
    """`owners`: the digest that each key belongs to; `applied`: the indexes that have an outcome in the ledger."""
    found = Sorted()
    seen: dict[Request, set[int]] = {request: set(indexes) for request, indexes in applied.items()}
    for decoded in records:
        context = decoded.context
        if context is None or context.digest is None:
            found.fresh.append(decoded)
        elif owners.get(context.request) != context.digest:
            found.conflicts.append(conflict(decoded, context))
        elif context.index in seen.setdefault(context.request, set()):
            found.repeats.append(decoded)
        else:
            seen[context.request].add(context.index)
            found.fresh.append(decoded)
    return found


def conflict(decoded: Decoded, context: EventContext) -> Rejected:
    reason = "the Idempotency-Key of this request belongs to a request with another body"
    return Rejected(decoded.record, context, "TRANSFORMATION", CONFLICT, reason)
