"""The state at the end of a run: all that the checker decides from, independent of the client libraries."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import UUID

from chaos.history import Call, FaultSeen

Key = tuple[str, str]
"""(partner, order_id)"""
Position = tuple[int, int]
"""(partition, offset)"""
Identity = tuple[str, str, str | None]
"""(partner, request id, digest): identifies the body to which indexes belong. No digest without an Idempotency-Key."""

CONFLICT = "IdempotencyConflict"
REFUSED = "RefusedByPostgres"
APPLIED_BEFORE = "AppliedBefore"
TRIGGER = "shop trigger"
RESTORES = ("postgres restore", "replica promoted")
"""Faults that take the last commits of Postgres away."""
KEPT, LOST, UNAPPLIED, LATER = range(4)
"""If Kafka lost something: what stood there before and still does, what it lost (after it was applied, or before), and
what came later. If it lost nothing, everything is KEPT.
"""
CLOSED = -1
"""Where the fences stand during a reseed."""
_RESEEDED = "reseeded "
_LOST_BASE = 1 << 40


@dataclass(frozen=True, slots=True)
class Event:
    """One record of orders.upserts. `trace` is the call that published it."""

    partition: int
    offset: int
    time_ms: int
    partner: str
    request_id: str
    index: int
    digest: str | None
    trace: str
    value: bytes
    era: int = KEPT

    @property
    def position(self) -> Position:
        """With an offset below 0 if Kafka lost it: another event may stand there now."""
        return self.partition, self.offset if self.is_there else self.offset - _LOST_BASE

    @property
    def is_there(self) -> bool:
        return self.era in (KEPT, LATER)

    @property
    def is_reseeded(self) -> bool:
        """Whether `orders reseed` wrote it."""
        return self.trace.startswith(_RESEEDED)

    @property
    def identity(self) -> Identity:
        return self.partner, self.request_id, self.digest

    @property
    def key(self) -> Key:
        return self.partner, self.order["order_id"]

    @property
    def order(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.value)
        return loaded


@dataclass(frozen=True, slots=True)
class Outcomes:
    """One row of the ledger, or one record of orders.results: outcome -> indexes."""

    partner: str | None
    request_id: str
    digest: str | None
    outcomes: Mapping[str, list[int]]
    conflict: bool = False


@dataclass(frozen=True, slots=True)
class FenceMove:
    tx: int
    partition: int
    before: int
    after: int
    at_s: float


@dataclass(frozen=True, slots=True)
class RowWrite:
    tx: int
    key: Key
    partition: int
    offset: int


@dataclass
class Facts:
    """`letters`: the reason of each dead letter, by the position of its event. `fence` and `committed`: by partition.

    `poison`: records of a foreign writer that are not events. `rows` are those of `orders` as dicts; `row_texts` as
    Postgres prints our columns, in the order of the key, and `replayed_texts` those of a replay into an empty
    database. Times are seconds since the start of the run. `not_served` are the clients that got no counts in time
    once healed; `lag_gone_s` is None if the lag stayed. If Kafka lost something, `events` are in the order of eras, and
    `fence_at_loss` is how far each partition was applied then.
    """

    calls: list[Call] = field(default_factory=list)
    poison: list[Position] = field(default_factory=list)
    faults: list[FaultSeen] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    letters: dict[Position, str] = field(default_factory=dict)
    results: list[Outcomes] = field(default_factory=list)
    ledger: list[Outcomes] = field(default_factory=list)
    rows: dict[Key, dict[str, Any]] = field(default_factory=dict)
    fence: dict[int, int] = field(default_factory=dict)
    committed: dict[int, int] = field(default_factory=dict)
    fence_moves: list[FenceMove] = field(default_factory=list)
    row_writes: list[RowWrite] = field(default_factory=list)
    row_texts: list[str] = field(default_factory=list)
    replayed_texts: list[str] = field(default_factory=list)
    replayed_ledger: list[Outcomes] = field(default_factory=list)
    lost_something: bool = False
    fence_at_loss: Mapping[int, int] = field(default_factory=dict)
    not_served: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    lag_gone_s: float | None = None

    @cached_property
    def events_by_trace(self) -> dict[str, list[Event]]:
        return _grouped(self.events, lambda event: event.trace)

    @cached_property
    def events_by_identity(self) -> dict[Identity, list[Event]]:
        return _grouped(self.events, lambda event: event.identity)

    @cached_property
    def call_by_trace(self) -> dict[str, Call]:
        return {call.trace: call for call in self.calls}

    @cached_property
    def identity_by_asked(self) -> dict[tuple[str, str, tuple[Any, ...]], Identity]:
        """(partner, key, items) of each call with an Idempotency-Key -> the identity of its events."""
        found = {}
        for call in self.calls:
            for event in self.events_by_trace.get(call.trace, ())[:1]:
                if call.key is not None and event.digest is not None:
                    found[call.partner, call.key, call.items] = event.identity
        return found

    @cached_property
    def refused_order_ids(self) -> set[str]:
        """The orders that a trigger of the shop refused for some time, of every partner."""
        return {fault.detail for fault in self.faults if fault.kind == TRIGGER}

    def is_refused(self, event: Event) -> bool:
        """Whether the shop refused the event, and it became a dead letter."""
        return self.letters.get(event.position) == REFUSED and event.key[1] in self.refused_order_ids

    @cached_property
    def lost_ids(self) -> set[tuple[Identity, int]]:
        """The applied events that Kafka lost."""
        return {(event.identity, event.index) for event in self.events if event.era == LOST}

    def was_applied_before(self, event: Event) -> bool:
        """Whether it was applied before the reseed: and lost, or while nobody had noticed the loss yet."""
        if (event.identity, event.index) in self.lost_ids:
            return True
        unnoticed = range(self.fence_at_loss.get(event.partition, 0), self._fence_at_reseed.get(event.partition, 0))
        return event.era == LATER and event.offset in unnoticed

    @cached_property
    def _fence_at_reseed(self) -> dict[int, int]:
        return {move.partition: move.before for move in self.fence_moves if move.after == CLOSED}

    def identity_of(self, call: Call) -> Identity | None:
        """The identity of the events that answer this call, maybe published by another attempt. None without events."""
        for event in self.events_by_trace.get(call.trace, ())[:1]:
            return event.identity
        return None if call.key is None else self.identity_by_asked.get((call.partner, call.key, call.items))


def trace_of(traceparent: str | None, request_id: str, digest: str | None) -> str:
    """The call that published an event. Otherwise only keyed requests have such ids as the events of a reseed."""
    if digest is None and UUID(request_id).version == 5:
        return f"{_RESEEDED}{request_id}"
    return traceparent.split("-")[1] if traceparent else request_id


def _grouped(events: list[Event], by: Any) -> dict[Any, list[Event]]:
    grouped: dict[Any, list[Event]] = {}
    for event in events:
        grouped.setdefault(by(event), []).append(event)
    return grouped
