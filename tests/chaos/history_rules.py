"""Invariants about the answers that partners got: I1, I2, I8, I9, I10."""

from bisect import bisect_right
from collections.abc import Iterator

from chaos.facts import CLOSED, CONFLICT, LATER, RESTORES, UNAPPLIED, Event, Facts, Identity
from chaos.foreign import FOREIGN, canonical_value
from chaos.history import Call, FaultSeen
from chaos.model import Modelled
from chaos.workload import INVALID, canonical_of

REFUSED = {400, 401, 404, 405, 408, 413, 422, 429, 503}


def valid_indexes(call: Call) -> list[int]:
    return [index for index, (_, version) in enumerate(call.items) if version != INVALID]


def acknowledged_is_applied(facts: Facts, model: Modelled) -> Iterator[str]:
    """At the end, and also when it is answered, unless there is a restore."""
    outcomes = ledger_outcomes(facts)
    moments = Moments(facts)
    for call in facts.calls:
        if call.sort != "orders" or call.status not in (200, 202) or not valid_indexes(call):
            continue
        identity = facts.identity_of(call)
        if identity is None:
            yield f"{_named(call)}: no event"
            continue
        if call.status == 202 and _lost_its_key(facts, identity):
            continue  # accepted before the conflict was found; its status shows it
        if call.status == 202 and any(event.era == UNAPPLIED for event in facts.events_by_identity[identity]):
            continue  # Kafka lost it before anybody read it: nobody can know it any more
        stored = outcomes.get(identity, {})
        events = {event.index: event for event in reversed(facts.events_by_identity[identity])}
        for index in valid_indexes(call):
            if index not in events:
                yield f"{_named(call)}: item {index} is not on the topic"
            elif facts.is_refused(events[index]):
                continue
            elif stored.get(index, "invalid") == "invalid" or (call.partner, call.items[index][0]) not in facts.rows:
                yield f"{_named(call)}: item {index} was not applied: {stored.get(index)}"
            elif call.status == 200 and moments.was_too_early(call, events[index]):
                yield f"{_named(call)}: item {index} was applied after the answer"


def _lost_its_key(facts: Facts, identity: Identity) -> bool:
    return all(facts.letters.get(event.position) == CONFLICT for event in facts.events_by_identity[identity])


class Moments:
    """When each event was applied."""

    def __init__(self, facts: Facts) -> None:
        self._restores = [(fault.begin_s, _settled_s(facts, fault)) for fault in facts.faults if fault.kind in RESTORES]
        self._moves: dict[tuple[bool, int], list[tuple[int, float]]] = {}
        reseeded: set[int] = set()
        for move in facts.fence_moves:
            if move.after == CLOSED:
                reseeded.add(move.partition)
            elif move.before != CLOSED:
                moves = self._moves.setdefault((move.partition in reseeded, move.partition), [])
                moves.append((move.before, move.at_s))
        self._reseeded = reseeded
        for moves in self._moves.values():
            moves.sort()

    def was_too_early(self, call: Call, event: Event) -> bool:
        assert call.answered_s is not None
        if any(call.at_s < settled_s and call.answered_s > begin_s for begin_s, settled_s in self._restores):
            return False
        is_after = event.era == LATER and event.partition in self._reseeded
        moves = self._moves.get((is_after, event.partition), [])
        position = bisect_right(moves, (event.offset, float("inf"))) - 1
        return position < 0 or moves[position][1] > call.answered_s


def _settled_s(facts: Facts, restore: FaultSeen) -> float:
    """When all that was asked for before the end of a restore was applied, for the first time or again.

    Until then an answer may tell of a commit that the restore took away and that is made again.
    """
    last: dict[int, int] = {}
    for event in facts.events:
        call = facts.call_by_trace.get(event.trace)
        if call is not None and call.at_s < restore.end_s:
            last[event.partition] = max(last.get(event.partition, -1), event.offset)
    passed = [move.at_s for move in facts.fence_moves if move.before <= last.get(move.partition, -1) < move.after]
    return max([restore.end_s, *passed])


def everything_has_a_request(facts: Facts, model: Modelled) -> Iterator[str]:
    by_position = {event.position: event for event in facts.events}
    values = {(event.key, event.value) for event in facts.events if not event.is_reseeded}
    for key, row in facts.rows.items():
        event = by_position.get((row["event_partition"], row["event_offset"]))
        if event is None or event.key != key:
            yield f"row {key}: there is no such event at {row['event_partition']}/{row['event_offset']}"
    for event in facts.events:
        call = facts.call_by_trace.get(event.trace)
        if call is None and event.partner == FOREIGN and event.value == canonical_value(event.key[1]):
            continue
        if event.is_reseeded and facts.lost_something and (event.key, event.value) in values:
            continue
        if call is None:
            yield f"event {event.position}: nobody asked for it"
        elif event.index >= len(call.items) or call.items[event.index][1] == INVALID:
            yield f"event {event.position}: {_named(call)} has no item {event.index} to publish"
        elif event.value != canonical_of(call.partner, call.items[event.index]):
            yield f"event {event.position}: not what {_named(call)} asked for"
    for identity in ledger_outcomes(facts).keys() - facts.events_by_identity.keys():
        if identity[0] == FOREIGN and facts.poison:
            continue  # a record that is no order may still name its request
        yield f"the ledger has outcomes of {identity}, and no event"


def answers_are_those_of_the_model(facts: Facts, model: Modelled) -> Iterator[str]:
    answers: dict[tuple[str, str], tuple[int, int, int]] = {}
    for call in facts.calls:
        if call.sort == "status":
            yield from _status_is_true(facts, model, call)
            continue
        if (counts := call.counts) is None:
            continue
        outcomes = _outcomes_of(facts, model, call)
        expected = counted(outcomes, len(call.items))
        if counts != expected:
            yield f"{_named(call)}: answered {counts}, the model has {expected}"
        yield from _orders_are_true(call, outcomes)
        # A request without a published event leaves no trace, so it takes no key.
        takes_key = call.key is not None and valid_indexes(call)
        if takes_key and answers.setdefault((call.partner, call.key or ""), counts) != counts:
            yield f"{_named(call)}: answered {counts}, and before {answers[call.partner, call.key or '']}"


def counted(outcomes: dict[int, str], size: int) -> tuple[int, int, int]:
    inserted = sum(outcome == "inserted" for outcome in outcomes.values())
    updated = sum(outcome == "updated" for outcome in outcomes.values())
    return inserted, updated, size - inserted - updated


def _outcomes_of(facts: Facts, model: Modelled, call: Call) -> dict[int, str]:
    identity = facts.identity_of(call)
    return {} if identity is None else model.outcomes.get(identity, {})


def _orders_are_true(call: Call, outcomes: dict[int, str]) -> Iterator[str]:
    """Each order's outcome, if the answer has them."""
    for order in call.body.get("orders", []):
        expected = outcomes.get(order["index"], "invalid")
        if order["outcome"] not in (expected, "pending"):
            yield f"{_named(call)}: order {order['index']} is {order['outcome']}, the model has {expected}"


def _status_is_true(facts: Facts, model: Modelled, asked: Call) -> Iterator[str]:
    call = facts.call_by_trace[asked.asked_of or ""]
    if asked.status != 200 or asked.partner != call.partner:
        return
    body, request_id = asked.body, (call.location or "").rpartition("/")[2]
    outcomes = model.outcomes_of_request(call.partner, request_id)
    yield from _orders_are_true(asked, outcomes)
    if body["status"] == "done":
        expected = counted(outcomes, body["size"])
        counts = body["inserted"], body["updated"], body["skipped"]
        if counts != expected:
            yield f"status of {_named(call)}: {counts}, the model has {expected}"


def partners_are_apart(facts: Facts, model: Modelled) -> Iterator[str]:
    for event in facts.events:
        call = facts.call_by_trace.get(event.trace)
        if call is not None and event.partner != call.partner:
            yield f"event {event.position} is {event.partner}'s, and {_named(call)} published it"
    for (partner, order_id), row in facts.rows.items():
        if row["name"].split()[0] != partner:
            yield f"row {partner}, {order_id} holds {row['name']!r}"
    for asked in facts.calls:
        is_foreign = asked.sort == "status" and asked.partner != facts.call_by_trace[asked.asked_of or ""].partner
        if is_foreign and asked.status not in (404, 503, None):
            yield f"{_named(asked)}: another partner's request gave {asked.status}"


def refused_is_not_applied(facts: Facts, model: Modelled) -> Iterator[str]:
    """A 422 may have been published, because only the consumer knows who owns the key. It is never applied."""
    for call in facts.calls:
        if call.sort == "status":
            continue
        events = facts.events_by_trace.get(call.trace, [])
        if call.sort != "orders" and call.status == 200:
            yield f"{_named(call)}: {call.sort}, and answered 200"
        if call.status == 422:
            events = [event for event in events if facts.letters.get(event.position) != CONFLICT]
        if events and (call.status in REFUSED or call.sort != "orders"):
            yield f"{_named(call)}: answered {call.status}, and {len(events)} events are on the topic"


def ledger_outcomes(facts: Facts) -> dict[Identity, dict[int, str]]:
    """By request and index. I3 checks that no index has two outcomes."""
    found: dict[Identity, dict[int, str]] = {}
    for row in facts.ledger:
        outcomes = found.setdefault((row.partner or "", row.request_id, row.digest), {})
        for outcome, indexes in row.outcomes.items():
            outcomes.update(dict.fromkeys(indexes, outcome))
    return found


def _named(call: Call) -> str:
    key = "" if call.key is None else f" with key {call.key}"
    return f"{call.client}'s call {call.trace[:8]}{key} at {call.at_s:.2f} s"
