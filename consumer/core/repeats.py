"""Decides which events to apply of those that are in the topic more than once. Pure: no client library, no clock.

A client that repeats a request with its Idempotency-Key publishes the same events again: same id, digest, order and
partition. A producer that cannot know whether a record arrived may send it again. Even an idempotent one does so, if
another of its records timed out. So the first of these events by offset is applied, and every later one is a repeat. A
replay decides the same.

Two bodies under one key may be in different partitions, and offsets of different partitions cannot be compared. The key
belongs to the body that is committed first. The dead letters of the other body keep that decision forever
(`LostClaims`).
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from consumer.core.record import Decoded, Rejected, Stage, runs
from contracts.event import BodyKey, EventContext, RequestKey

CONFLICT = "IdempotencyConflict"
APPLIED_BEFORE = "AppliedBefore"
"""Of a letter that a reseed writes: the event was applied before its log was lost, from another place."""
NEVER_APPLIED = frozenset({CONFLICT, APPLIED_BEFORE})
"""Of events that change nothing, leave no trace in the tables, and are never redriven."""


@dataclass(slots=True)
class LostClaims:
    """Requests that lost their key to another body according to their dead letters, with the times of those letters.

    A key may be used again after the ledger has forgotten it. So a letter counts only for events within `kept` of it.
    """

    kept: timedelta = timedelta()
    times: dict[BodyKey, list[datetime]] = field(default_factory=dict)

    def add(self, context: EventContext, time: datetime) -> None:
        if context.digest is not None:
            self.times.setdefault(context.body_key, []).append(time)

    def without(self, records: Iterable[Decoded]) -> Iterable[Decoded]:
        """The records that may own their key."""
        return (decoded for decoded in records if not self._includes(decoded)) if self.times else records

    def _includes(self, decoded: Decoded) -> bool:
        context = decoded.context
        if context is None or context.digest is None:
            return False
        times = self.times.get(context.body_key, ())
        return any(abs(time - decoded.record.time) < self.kept for time in times)


@dataclass(slots=True)
class Classified:
    """`fresh`: events to apply. `repeats`: applied before, or already in `fresh`. `conflicts`: never applied."""

    fresh: list[Decoded] = field(default_factory=list)
    repeats: list[Decoded] = field(default_factory=list)
    conflicts: list[Rejected] = field(default_factory=list)


def digests(records: Iterable[Decoded]) -> dict[RequestKey, tuple[str, datetime]]:
    """For each request with a key, its first digest and the time of that event: it owns the key if no other does."""
    found: dict[RequestKey, tuple[str, datetime]] = {}
    for run in runs(records):
        if run.context is not None and run.context.digest is not None:
            found.setdefault(run.context.body_key.request_key, (run.context.digest, run.records[0].record.time))
    return found


def classify(
    records: Iterable[Decoded], owners: Mapping[RequestKey, str], applied: Mapping[BodyKey, Set[int]]
) -> Classified:
    """`owners`: the digest that owns each key. `applied`: the indexes that have an outcome in the ledger."""
    found = Classified()
    seen = {body_key: set(indexes) for body_key, indexes in applied.items()}
    for run in runs(records):
        if run.context is None:
            found.fresh += run.records
            continue
        body_key = run.context.body_key
        if body_key.digest is not None and owners.get(body_key.request_key) != body_key.digest:
            found.conflicts += map(conflict, run.records)
            continue
        indexes = seen.setdefault(body_key, set())
        for decoded in run.records:
            (found.repeats if decoded.index in indexes else found.fresh).append(decoded)
            indexes.add(decoded.index)
    return found


def conflict(decoded: Decoded) -> Rejected:
    reason = "the Idempotency-Key of this request belongs to a request with another body"
    return Rejected(decoded.record, decoded.context, decoded.index, Stage.TRANSFORMATION, CONFLICT, reason)
