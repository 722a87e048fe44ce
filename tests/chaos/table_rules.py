"""Invariants about how the tables reached their state, I3 to I7, and about healing, I11."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain

from chaos.facts import CONFLICT, Event, Facts, Identity, Key, Outcomes
from chaos.history_rules import ledger_outcomes
from chaos.model import Modelled

_COLUMNS = (
    "name", "phone", "address", "email", "refferral_code", "user_id", "products", "total_amount", "discount",
    "total_qty",
)  # fmt: skip


def one_event_and_one_outcome(facts: Facts, model: Modelled) -> Iterator[str]:
    """A record may be there several times: with a key it was asked for again, and a producer that cannot know whether
    it arrived sends it again. Then it is the same record, and it has one outcome.
    """
    copies: dict[tuple[Identity, int], Event] = {}
    names: dict[tuple[str, int], Identity] = {}
    for event in facts.events:
        first = copies.setdefault((event.identity, event.index), event)
        if (event.partition, event.value) != (first.partition, first.value):
            yield f"event {event.position}: has the id of {first.position}, and is another one"
        if names.setdefault((event.trace, event.index), event.identity) != event.identity:
            yield f"event {event.position}: published by a call that published it under another id"
    settled = Counter(
        ((row.partner, row.request_id, row.digest), index)
        for row in facts.ledger
        for index in chain.from_iterable(row.outcomes.values())
    )
    for (request, index), count in settled.items():
        if count > 1:
            yield f"request {request}, index {index}: {count} outcomes"
    bodies = Counter((partner, request_id) for partner, request_id, _ in ledger_outcomes(facts))
    for key, count in bodies.items():
        if count > 1:
            yield f"request {key}: {count} bodies were applied under its key"
    for event in facts.events:
        if event.position in model.applied and (event.identity, event.index) not in settled:
            yield f"event {event.position}: no outcome in the ledger"
        if facts.letters.get(event.position) == CONFLICT and (event.identity, event.index) in settled:
            yield f"event {event.position}: another body owns its key, and it has an outcome"


def applied_in_order(facts: Facts, model: Modelled) -> Iterator[str]:
    moves = {(move.tx, move.partition): move for move in facts.fence_moves}
    newest: dict[Key, int] = {}
    for write in facts.row_writes:
        if write.offset <= newest.get(write.key, -1):
            yield f"row {write.key}: offset {write.offset} was written after {newest[write.key]}"
        newest[write.key] = write.offset
        move = moves.get((write.tx, write.partition))
        if move is None or not move.before <= write.offset < move.after:
            yield f"row {write.key}: offset {write.offset} was written by a transaction that did not apply it"


def rows_are_the_newest_events(facts: Facts, model: Modelled) -> Iterator[str]:
    for key in facts.rows.keys() ^ model.rows.keys():
        yield f"row {key} is {'there' if key in facts.rows else 'missing'}"
    for key in facts.rows.keys() & model.rows.keys():
        row, event = facts.rows[key], model.rows[key]
        if (row["event_partition"], row["event_offset"]) != event.position:
            yield f"row {key}: from {row['event_partition']}/{row['event_offset']}, the newest is {event.position}"
        elif round(row["event_time"].timestamp() * 1000) != event.time_ms:
            yield f"row {key}: its time is not that of its event"
        else:
            order = event.order
            wrong = [column for column in _COLUMNS if row[column] != order.get(column)]
            if wrong:
                yield f"row {key}: {wrong} are not those of its event"


def no_gap(facts: Facts, model: Modelled) -> Iterator[str]:
    reached: dict[int, int] = {}
    for move in facts.fence_moves:
        if move.before != reached.get(move.partition, 0):
            yield f"partition {move.partition}: from {reached.get(move.partition, 0)} on, and then from {move.before}"
        reached[move.partition] = move.after
    for partition, end in ends(facts).items():
        if reached.get(partition, 0) != end or facts.fence.get(partition) != end:
            yield f"partition {partition}: applied up to {facts.fence.get(partition)}, the end is {end}"
    outcomes = ledger_outcomes(facts)
    passed_over = [
        event.position
        for event in facts.events
        if event.position in model.applied
        and event.offset < facts.fence.get(event.partition, 0)
        and event.index not in outcomes.get(event.identity, {})
    ]
    if passed_over:
        yield f"{len(passed_over)} events were passed over, the first is {min(passed_over)}"


def a_replay_gives_the_same(facts: Facts, model: Modelled) -> Iterator[str]:
    live, replayed = Counter(facts.row_texts), Counter(facts.replayed_texts)
    yield from (f"only in the table: {text}" for text in live - replayed)
    yield from (f"only in the replay: {text}" for text in replayed - live)
    before, after = ledger_outcomes(facts), ledger_outcomes(Facts(ledger=facts.replayed_ledger))
    for request in before.keys() | after.keys():
        if before.get(request) != after.get(request):
            yield f"request {request}: {before.get(request)}, in the replay {after.get(request)}"


def healed(facts: Facts, model: Modelled) -> Iterator[str]:
    yield from (f"not served in time: {client}" for client in facts.not_served)
    yield from (f"ended by itself: {death}" for death in facts.unexpected)
    if facts.lag_gone_s is None:
        yield "the lag was not gone in time"
    for partition, end in ends(facts).items():
        if facts.committed.get(partition) != end:
            yield f"partition {partition}: answered up to {facts.committed.get(partition)}, the end is {end}"
    told = _told(facts.results)
    for event in facts.events:
        if (event.request_id, event.digest, event.index) not in told:
            yield f"event {event.position}: nobody was told what became of it"


def ends(facts: Facts) -> dict[int, int]:
    found: dict[int, int] = {}
    for event in facts.events:
        found[event.partition] = max(found.get(event.partition, 0), event.offset + 1)
    return found


def _told(results: Iterable[Outcomes]) -> set[tuple[str, str | None, int]]:
    return {
        (result.request_id, result.digest, index)
        for result in results
        for index in chain.from_iterable(result.outcomes.values())
    }
