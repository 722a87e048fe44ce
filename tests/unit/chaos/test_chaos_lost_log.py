"""The checker on a small history in which Kafka lost events that were applied, and an operator reseeded."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from chaos.checker import check
from chaos.facts import (
    APPLIED_BEFORE,
    CLOSED,
    KEPT,
    LATER,
    LOST,
    UNAPPLIED,
    Event,
    Facts,
    FenceMove,
    Outcomes,
    RowWrite,
)
from chaos.history import Call
from chaos.workload import Item, canonical_of

TIME_MS = 1_000_000


def event(offset: int, trace: str, item: Item, era: int) -> Event:
    return Event(0, offset, TIME_MS, "ant", f"r-{trace}", 0, None, trace, canonical_of("ant", item), era)


def call(trace: str, item: Item, at_s: float, counts: tuple[int, int, int] | None) -> Call:
    body = {} if counts is None else dict(zip(("inserted", "updated", "skipped"), counts, strict=True))
    status = 202 if counts is None else 200
    return Call(trace, "client 1", "ant", (item,), 0, at_s, answered_s=at_s + 0.5, status=status, body=body)


def outcome(trace: str, **found: list[int]) -> Outcomes:
    return Outcomes("ant", f"r-{trace}", None, found)


def right() -> Facts:
    """`a` was inserted. Its change and `b` were lost; `c` was lost before it was applied. Then `a` changed again, while
    the log was not checked yet, and the reseed wrote `a`, `a` once more, and `b`. `d` came last.
    """
    lost_b = event(2, "3", ("b", 1), LOST)
    kept = [event(0, "1", ("a", 1), KEPT)]
    lost = [event(1, "2", ("a", 2), LOST), lost_b, event(3, "4", ("c", 1), UNAPPLIED)]
    later = [
        event(1, "5", ("a", 3), LATER),
        event(2, "reseeded a", ("a", 2), LATER),
        event(3, "reseeded b", ("b", 1), LATER),
        event(4, "reseeded again", ("a", 3), LATER),
        event(5, "6", ("d", 1), LATER),
    ]
    rows = {}
    for shown in (later[2], later[3], later[4]):
        order = {"phone": None, "address": None, "total_qty": None, **json.loads(shown.value)}
        place = {"event_partition": 0, "event_offset": shown.offset}
        rows[shown.key] = {**order, **place, "event_time": datetime.fromtimestamp(TIME_MS / 1000, UTC)}
    a, b, d = (("ant", order_id) for order_id in "abd")
    reseeded = [outcome("reseeded a", updated=[0]), outcome("reseeded b", unchanged=[0])]
    ledger = [
        *(outcome("1", inserted=[0]), outcome("2", updated=[0]), outcome("3", inserted=[0]), outcome("5", updated=[0])),
        *(*reseeded, outcome("reseeded again", updated=[0]), outcome("6", inserted=[0])),
    ]
    writes = [RowWrite(1, a, 0, 0), RowWrite(2, a, 0, 1), RowWrite(2, b, 0, 2)]
    writes += [RowWrite(3, a, 0, 0), RowWrite(3, b, 0, 0)]  # before all that is new
    writes += [
        RowWrite(5, a, 0, 1),
        RowWrite(5, a, 0, 2),
        RowWrite(5, b, 0, 3),
        RowWrite(5, a, 0, 4),
        RowWrite(5, d, 0, 5),
    ]
    return Facts(
        calls=[
            call("1", ("a", 1), 1, (1, 0, 0)),
            call("2", ("a", 2), 2, (0, 1, 0)),
            call("3", ("b", 1), 2, (1, 0, 0)),
            call("4", ("c", 1), 3, None),
            call("5", ("a", 3), 4, None),
            call("6", ("d", 1), 8, (1, 0, 0)),
        ],
        events=[*kept, *lost, *later],
        results=[Outcomes(None, row.request_id, None, row.outcomes) for row in ledger],
        ledger=ledger,
        rows=rows,
        fence={0: 6},
        committed={0: 6},
        fence_moves=[
            FenceMove(1, 0, 0, 1, 1.1),
            FenceMove(2, 0, 1, 3, 2.1),
            FenceMove(3, 0, 3, CLOSED, 5),
            FenceMove(4, 0, CLOSED, 1, 6),
            FenceMove(5, 0, 1, 6, 8.1),
        ],
        row_writes=writes,
        row_texts=["a", "b", "d"],
        replayed_texts=["a", "b", "d"],
        replayed_ledger=[ledger[0], *ledger[3:]],
        lag_gone_s=1.0,
        lost_something=True,
    )


def found(facts: Facts) -> set[str]:
    return {violation.invariant.split()[0] for violation in check(facts)}


def test_what_is_lost_and_reseeded_breaks_no_promise() -> None:
    assert check(right()) == []


def test_an_event_that_was_applied_before_anybody_noticed_the_loss_may_get_a_letter() -> None:
    """The new log went on behind the fence of the old one. The letter is for the replay."""
    facts = right()
    facts.letters[0, 4] = APPLIED_BEFORE
    facts.fence_at_loss = {0: 3}
    facts.fence_moves[2:3] = [FenceMove(9, 0, 3, 5, 4), FenceMove(3, 0, 5, CLOSED, 5)]
    assert check(facts) == []


def lost_for_good(facts: Facts) -> None:
    """The reseed wrote nothing for `b`."""
    facts.events = [event for event in facts.events if event.trace != "reseeded b"]


def older_value_last(facts: Facts) -> None:
    """The reseed did not write the newest event of `a` once more."""
    facts.rows["ant", "a"].update(event_offset=2, **json.loads(canonical_of("ant", ("a", 2))))


def reseeded_from_nothing(facts: Facts) -> None:
    facts.events.append(event(6, "reseeded x", ("x", 1), LATER))


def reseeded_without_a_loss(facts: Facts) -> None:
    facts.lost_something = False


def answer_of_a_lost_event(facts: Facts) -> None:
    facts.calls[1].body.update(inserted=1, updated=0)


def answer_after_the_reseed(facts: Facts) -> None:
    facts.calls[5].body.update(inserted=0, updated=1)


def lost_and_never_settled(facts: Facts) -> None:
    facts.ledger.pop(1)


def answered_before_it_was_lost_and_not_applied(facts: Facts) -> None:
    facts.calls[3].status, facts.calls[3].body = 200, {"inserted": 1, "updated": 0, "skipped": 0}


def passed_over(facts: Facts) -> None:
    """A new event took the offset of one that was applied."""
    facts.ledger.pop(3)


def applied_too_late(facts: Facts) -> None:
    facts.fence_moves[-1] = FenceMove(5, 0, 1, 6, 9.9)


def letter_for_what_was_not_applied(facts: Facts) -> None:
    facts.letters[0, 5] = APPLIED_BEFORE


def letter_for_an_event_of_the_reseed(facts: Facts) -> None:
    facts.letters[0, 4] = APPLIED_BEFORE


def replayed_otherwise(facts: Facts) -> None:
    facts.replayed_texts[1] = "c"


WRONG: dict[Callable[[Facts], None], str] = {
    lost_for_good: "I5",
    older_value_last: "I5",
    reseeded_from_nothing: "I2",
    reseeded_without_a_loss: "I2",
    answer_of_a_lost_event: "I8",
    answer_after_the_reseed: "I8",
    lost_and_never_settled: "I3",
    answered_before_it_was_lost_and_not_applied: "I1",
    passed_over: "I6",
    applied_too_late: "I1",
    letter_for_what_was_not_applied: "I5",
    letter_for_an_event_of_the_reseed: "I5",
    replayed_otherwise: "I7",
}


@pytest.mark.parametrize("doctor", WRONG, ids=lambda doctor: doctor.__name__)
def test_one_wrong_thing_is_found_by_its_invariant(doctor: Callable[[Facts], None]) -> None:
    facts = right()
    doctor(facts)
    assert WRONG[doctor] in found(facts)
