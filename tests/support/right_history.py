"""A small history of a chaos run that is right, and what it is built from."""

import json
from dataclasses import replace
from datetime import UTC, datetime

from chaos.checker import check
from chaos.facts import CONFLICT, Event, Facts, FenceMove, Outcomes, RowWrite
from chaos.foreign import FOREIGN, canonical_value
from chaos.history import Call
from chaos.workload import INVALID, canonical_of

PLAIN, KEYED, OTHER = "11", "22", "33"
TIME_MS = 1_000_000


def event(
    partition: int,
    offset: int,
    trace: str,
    item: tuple[str, int],
    index: int = 0,
    request_id: str | None = None,
    digest: str | None = None,
) -> Event:
    request_id = request_id or f"r-{trace}"
    return Event(partition, offset, TIME_MS, "ant", request_id, index, digest, trace, canonical_of("ant", item))


def foreign_event(order_id: str, value: bytes | None = None) -> Event:
    return Event(0, 1, TIME_MS, FOREIGN, "r-foreign", 0, None, "", value or canonical_value(order_id))


def call(
    trace: str, items: tuple[tuple[str, int], ...], status: int, counts: tuple[int, int, int], **more: str
) -> Call:
    body = dict(zip(("inserted", "updated", "skipped"), counts, strict=True)) if status == 200 else {"error": "no"}
    return Call(trace, "client 1", "ant", items, 0, 1.0, answered_s=2.0, status=status, body=body, **more)  # type: ignore[arg-type]


def outcomes(request_id: str, digest: str | None = None, partner: str | None = "ant", **found: list[int]) -> Outcomes:
    return Outcomes(partner, request_id, digest, found)


def right() -> Facts:
    """A plain request of three orders, a keyed one that was sent twice, and another body under its key."""
    b1, b2 = ("b", 1), ("b", 2)
    events = [
        event(0, 0, PLAIN, ("a", 1)),
        event(1, 0, PLAIN, b1, 1),
        event(1, 1, KEYED, b2, request_id="k", digest="d1"),
        event(1, 2, "44", b2, request_id="k", digest="d1"),
        event(1, 3, OTHER, b1, request_id="k", digest="d2"),
    ]
    rows = {}
    for shown in (events[0], events[2]):
        order = {"phone": None, "address": None, "total_qty": None, **json.loads(shown.value)}
        place = {"event_partition": shown.partition, "event_offset": shown.offset}
        rows["ant", order["order_id"]] = {**order, **place, "event_time": datetime.fromtimestamp(TIME_MS / 1000, UTC)}
    ledger = [outcomes("r-11", inserted=[0, 1]), outcomes("k", "d1", updated=[0])]
    results = [
        *(replace(row, partner=None) for row in ledger),
        Outcomes(None, "k", "d2", {"invalid": [0]}, conflict=True),
    ]
    return Facts(
        calls=[
            call(PLAIN, (("a", 1), b1, ("c", INVALID)), 200, (2, 0, 1)),
            call(KEYED, (b2,), 200, (0, 1, 0), key="key"),
            call("44", (b2,), 200, (0, 1, 0), key="key"),
            call(OTHER, (b1,), 422, (0, 0, 0), key="key"),
            call("55", (b1,), 400, (0, 0, 0), sort="broken"),
            call("66", (b1,), 503, (0, 0, 0)),
        ],
        events=events,
        letters={(1, 3): CONFLICT},
        results=results,
        ledger=ledger,
        rows=rows,
        fence={0: 1, 1: 4},
        committed={0: 1, 1: 4},
        fence_moves=[FenceMove(1, 0, 0, 1, 1.5), FenceMove(1, 1, 0, 1, 1.5), FenceMove(2, 1, 1, 4, 1.6)],
        row_writes=[RowWrite(1, ("ant", "a"), 0, 0), RowWrite(1, ("ant", "b"), 1, 0), RowWrite(2, ("ant", "b"), 1, 1)],
        row_texts=["a", "b"],
        replayed_texts=["b", "a"],
        replayed_ledger=list(ledger),
        lag_gone_s=1.0,
    )


def found(facts: Facts) -> set[str]:
    return {violation.invariant.split()[0] for violation in check(facts)}
