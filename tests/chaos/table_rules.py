"""Invariants about how the tables reached their state, I3 to I7, and about healing, I11."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain

from chaos.facts import APPLIED_BEFORE, CLOSED, CONFLICT, KEPT, LOST, Event, Facts, Identity, Key, Outcomes
from chaos.foreign import FOREIGN
from chaos.history_rules import ledger_outcomes
from chaos.model import Modelled
from chaos.shop import wrong_columns

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
    reseeds = {move.tx for move in facts.fence_moves if move.after == CLOSED}
    newest: dict[Key, int] = {}
    for write in facts.row_writes:
        if write.tx in reseeds:  # what comes now is newer than what the log has lost
            newest[write.key] = write.offset
            continue
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
            if of_the_shop := wrong_columns(row):
                yield f"row {key}: the shop's columns {of_the_shop} do not hold what they should"
    for event in facts.events:
        reason = facts.letters.get(event.position)
        was_applied = reason == APPLIED_BEFORE and facts.was_applied_before(event)
        if reason is not None and reason != CONFLICT and not was_applied and not facts.is_refused(event):
            yield f"event {event.position}: a dead letter ({reason}), and nothing is wrong with it"


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
        and (event.era == LOST or event.offset < facts.fence.get(event.partition, 0))
        and event.index not in outcomes.get(event.identity, {})
    ]
    if passed_over:
        yield f"{len(passed_over)} events were passed over, the first is {min(passed_over)}"


def a_replay_gives_the_same(facts: Facts, model: Modelled) -> Iterator[str]:
    live, replayed = Counter(facts.row_texts), Counter(facts.replayed_texts)
    yield from (f"only in the table: {text}" for text in live - replayed)
    yield from (f"only in the replay: {text}" for text in replayed - live)
    before, after = ledger_outcomes(facts), ledger_outcomes(Facts(ledger=facts.replayed_ledger))
    if facts.lost_something:  # the outcomes of what was lost stand in the live ledger alone
        before, after = _of_kept(facts, before), _of_kept(facts, after)
    for request in before.keys() | after.keys():
        if before.get(request) != after.get(request):
            yield f"request {request}: {before.get(request)}, in the replay {after.get(request)}"


def _of_kept(facts: Facts, ledger: dict[Identity, dict[int, str]]) -> dict[Identity, dict[int, str]]:
    """The outcomes of the events that were there before Kafka lost something, and still are."""
    found: dict[Identity, dict[int, str]] = {}
    for event in facts.events:
        outcome = ledger.get(event.identity, {}).get(event.index)
        if event.era == KEPT and outcome is not None and (event.identity, event.index) not in facts.lost_ids:
            found.setdefault(event.identity, {})[event.index] = outcome
    return found


def healed(facts: Facts, model: Modelled) -> Iterator[str]:
    yield from (f"not served in time: {client}" for client in facts.not_served)
    yield from (f"did not go as it should: {what}" for what in facts.unexpected)
    if facts.lag_gone_s is None:
        yield "the lag was not gone in time"
    for partition, end in ends(facts).items():
        if facts.committed.get(partition) != end:
            yield f"partition {partition}: answered up to {facts.committed.get(partition)}, the end is {end}"
    for position in facts.poison:
        if position not in facts.letters:
            yield f"record {position}: is not an event, and has no dead letter"
    told = _told(facts.results)
    for event in facts.events:
        is_waited_for = event.is_there and event.partner != FOREIGN and not event.is_reseeded
        if is_waited_for and (event.request_id, event.digest, event.index) not in told:
            yield f"event {event.position}: nobody was told what became of it"


def ends(facts: Facts) -> dict[int, int]:
    found: dict[int, int] = {}
    for partition, offset in chain((event.position for event in facts.events if event.is_there), facts.poison):
        found[partition] = max(found.get(partition, 0), offset + 1)
    return found


def _told(results: Iterable[Outcomes]) -> set[tuple[str, str | None, int]]:
    return {
        (result.request_id, result.digest, index)
        for result in results
        for index in chain.from_iterable(result.outcomes.values())
    }
