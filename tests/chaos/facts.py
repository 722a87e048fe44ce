"""The state at the end of a run: all that the checker decides from, independent of the client libraries."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from chaos.history import Call, FaultSeen

Key = tuple[str, str]
"""(partner, order_id)"""
Position = tuple[int, int]
"""(partition, offset)"""
Identity = tuple[str, str, str | None]
"""(partner, request id, digest): identifies the body to which indexes belong. No digest without an Idempotency-Key."""

CONFLICT = "IdempotencyConflict"


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

    @property
    def position(self) -> Position:
        return self.partition, self.offset

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

    `rows` are those of `orders` as dicts; `row_texts` as Postgres prints them whole, in the order of the key, and
    `replayed_texts` those of a replay into an empty database. Times are seconds since the start of the run.
    `not_served` are the clients that got no counts in time once healed; `lag_gone_s` is None if the lag stayed.
    """

    calls: list[Call] = field(default_factory=list)
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

    def identity_of(self, call: Call) -> Identity | None:
        """The identity of the events that answer this call, maybe published by another attempt. None without events."""
        for event in self.events_by_trace.get(call.trace, ())[:1]:
            return event.identity
        return None if call.key is None else self.identity_by_asked.get((call.partner, call.key, call.items))


def _grouped(events: list[Event], by: Any) -> dict[Any, list[Event]]:
    grouped: dict[Any, list[Event]] = {}
    for event in events:
        grouped.setdefault(by(event), []).append(event)
    return grouped
