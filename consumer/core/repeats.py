"""Events that stand on the topic more than once: which of them are to be applied. Pure: no client library, no clock.

Whoever asks again with an Idempotency-Key publishes the same events again: same id, same digest, same order, same
partition. And a producer that cannot know whether a record arrived may send it again: the idempotent one too, when
another record of its own timed out. So the first of them by offset is applied, and every later one is a repeat; a
replay finds the same. Two bodies under one key may stand in different partitions, whose offsets say nothing about each
other: the key belongs to the first committed one, and the dead letters of the other keep that decision for ever
(`LostClaims`).
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from consumer.core.record import Decoded, Rejected, Stage, runs
from contracts.event import BodyKey, EventContext, RequestKey

CONFLICT = "IdempotencyConflict"


@dataclass(slots=True)
class LostClaims:
    """Requests that lost their key to another body, as their dead letters tell, with the times of the letters.

    A key may be used again when the ledger has forgotten it, so a letter speaks only for the events around its time.
    """

    kept: timedelta = timedelta()
    times: dict[BodyKey, list[datetime]] = field(default_factory=dict)

    def add(self, context: EventContext, time: datetime) -> None:
        if context.digest is not None:
            self.times.setdefault(context.body_key, []).append(time)

    def without(self, records: Iterable[Decoded]) -> Iterable[Decoded]:
        """Those that may own their key."""
        return (decoded for decoded in records if not self._includes(decoded)) if self.times else records

    def _includes(self, decoded: Decoded) -> bool:
        context = decoded.context
        if context is None or context.digest is None:
            return False
        times = self.times.get(context.body_key, ())
        return any(abs(time - decoded.record.time) < self.kept for time in times)


@dataclass(slots=True)
class Classified:
    """`conflicts` were not applied and never will be; `repeats` were applied before, or are in `fresh` already."""

    fresh: list[Decoded] = field(default_factory=list)
    repeats: list[Decoded] = field(default_factory=list)
    conflicts: list[Rejected] = field(default_factory=list)


def digests(records: Iterable[Decoded]) -> dict[RequestKey, tuple[str, datetime]]:
    """For each request with a key, what would own it if nobody does: the first digest, and the time of its event."""
    found: dict[RequestKey, tuple[str, datetime]] = {}
    for run in runs(records):
        if run.context is not None and run.context.digest is not None:
            found.setdefault(run.context.body_key.request_key, (run.context.digest, run.records[0].record.time))
    return found


def classify(
    records: Iterable[Decoded], owners: Mapping[RequestKey, str], applied: Mapping[BodyKey, Set[int]]
) -> Classified:
    """`owners`: the digest that each key belongs to; `applied`: the indexes that have an outcome in the ledger."""
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
