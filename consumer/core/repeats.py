"""Decides which events to apply of those that are in the topic more than once. Pure: no client library, no clock.

A client that repeats a request with its Idempotency-Key publishes the same events again: same id, digest, order and
partition. A producer that cannot know whether a record arrived may send it again. Even an idempotent one does so, if
another of its records timed out. So the first of these events by offset is applied, and every later one is a repeat. A
replay decides the same.

Two bodies under one key may be in different partitions, and offsets of different partitions cannot be compared. The key
belongs to the body that is committed first. The dead letters of the other body keep that decision forever
(`LostClaims`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import reduce
from operator import or_

from consumer.core.batch import Batch, Run
from consumer.core.record import Decoded, Rejected, Stage
from contracts.event import BodyKey, EventContext, RequestKey
from contracts.limits import ORDERS_PER_REQUEST_MAX

CONFLICT = "IdempotencyConflict"
APPLIED_BEFORE = "AppliedBefore"
"""Of a letter that a reseed writes: the event was applied before its log was lost, from another place."""
NEVER_APPLIED = frozenset({CONFLICT, APPLIED_BEFORE})
"""Of events that change nothing, leave no trace in the tables, and are never redriven."""

_BITS = [1 << index for index in range(ORDERS_PER_REQUEST_MAX)]


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

    def without(self, batch: Batch) -> Batch:
        """The records that may own their key."""
        return batch.of_runs([kept for run in batch.runs for kept in self._kept(run, batch)]) if self.times else batch

    def _kept(self, run: Run, batch: Batch) -> list[Run]:
        if run.context is None or run.context.digest is None:
            return [run]
        times = self.times.get(run.context.body_key, ())
        time_of = batch.columns.time
        kept = [at for at in run.positions if all(abs(time - time_of(at)) >= self.kept for time in times)]
        return [Run(run.context, run.partition, kept)] if kept else []


@dataclass(slots=True)
class Classified:
    """`fresh`: events to apply. `repeats`: applied before, or already in `fresh`. `conflicts`: never applied.

    `applied`: a bit for each index that has an outcome when `fresh` is applied.
    """

    fresh: Batch
    repeats: Batch
    conflicts: list[Rejected]
    applied: dict[BodyKey, int]


def digests(batch: Batch) -> dict[RequestKey, tuple[str, datetime]]:
    """For each request with a key, its first digest and the time of that event: it owns the key if no other does."""
    found: dict[RequestKey, tuple[str, datetime]] = {}
    for run in batch.runs:
        if run.context is not None and run.context.digest is not None:
            time = batch.columns.time(run.positions[0])
            found.setdefault(run.context.body_key.request_key, (run.context.digest, time))
    return found


def classify(batch: Batch, owners: Mapping[RequestKey, str], applied: Mapping[BodyKey, int]) -> Classified:
    """`owners`: the digest that owns each key. `applied`: a bit for each index that has an outcome already."""
    fresh, repeats, conflicts = list[Run](), list[Run](), list[Rejected]()
    seen = dict(applied)
    for run in batch.runs:
        if run.context is None:
            fresh.append(run)
            continue
        body_key = run.context.body_key
        if body_key.digest is not None and owners.get(body_key.request_key) != body_key.digest:
            conflicts += [conflict(batch.columns.decoded(position)) for position in run.positions]
            continue
        indexes, known = run.of(batch.columns.indexes), seen.get(body_key, 0)
        if len(set(indexes)) == len(indexes) and not known & (mask := mask_of(indexes)):
            fresh.append(run)
            seen[body_key] = known | mask
            continue
        for position, index in zip(run.positions, indexes, strict=True):
            bit = 1 << index
            (repeats if known & bit else fresh).append(Run(run.context, run.partition, [position]))
            known |= bit
        seen[body_key] = known
    return Classified(batch.of_runs(fresh), batch.of_runs(repeats), conflicts, seen)


def mask_of(indexes: Iterable[int]) -> int:
    """A number with a bit for each index."""
    return reduce(or_, map(_BITS.__getitem__, indexes), 0)


def conflict(decoded: Decoded) -> Rejected:
    reason = "the Idempotency-Key of this request belongs to a request with another body"
    return Rejected(decoded.record, decoded.context, decoded.index, Stage.TRANSFORMATION, CONFLICT, reason)
