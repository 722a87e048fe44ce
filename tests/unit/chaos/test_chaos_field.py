"""The checker on what foreign writers and a shop do: what it allows, and what it finds."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from chaos.checker import check
from chaos.facts import REFUSED, TRIGGER, Facts, FenceMove, RowWrite
from chaos.foreign import FOREIGN
from chaos.history import FaultSeen
from chaos.workload import canonical_of
from support.right_history import TIME_MS, foreign_event, found, outcomes, right


def letter_for_nothing(facts: Facts) -> None:
    facts.letters[1, 0] = REFUSED


def poison_without_a_letter(facts: Facts) -> None:
    facts.poison.append((1, 4))


def foreign_order_falsified(facts: Facts) -> None:
    facts.events.append(foreign_event("foreign-applied-dots-1", canonical_of(FOREIGN, ("foreign-applied-dots-1", 2))))


def foreign_order_lost(facts: Facts) -> None:
    facts.events.append(foreign_event("foreign-applied-dots-1"))


def poison_applied(facts: Facts) -> None:
    facts.rows["foreign", "foreign-letter-deep-1"] = {**facts.rows["ant", "a"], "event_offset": 7}


def default_not_taken(facts: Facts) -> None:
    facts.rows["ant", "a"] |= {"exported": False, "noted_at": None}


def generated_from_something_else(facts: Facts) -> None:
    facts.rows["ant", "a"]["to_pay"] = 1


WRONG: dict[Callable[[Facts], None], str] = {
    letter_for_nothing: "I5",
    poison_without_a_letter: "I11",
    foreign_order_falsified: "I2",
    foreign_order_lost: "I5",
    poison_applied: "I2",
    default_not_taken: "I5",
    generated_from_something_else: "I5",
}


@pytest.mark.parametrize("doctor", WRONG, ids=lambda doctor: doctor.__name__)
def test_one_wrong_thing_is_found_by_its_invariant(doctor: Callable[[Facts], None]) -> None:
    facts = right()
    doctor(facts)
    assert WRONG[doctor] in found(facts)


def refused_by_the_shop() -> Facts:
    """Its only change of `b` becomes a dead letter, and is told so."""
    facts = right()
    facts.faults.append(FaultSeen(TRIGGER, "b", 0.5, 2.5))
    facts.letters[1, 1] = REFUSED
    first = facts.events[1]
    facts.rows["ant", "b"] |= {"event_offset": first.offset, **json.loads(first.value)}
    for rows in (facts.ledger, facts.replayed_ledger, facts.results):
        rows[1] = replace(rows[1], outcomes={"invalid": [0]})
    for call_of_it in facts.calls[1:3]:
        call_of_it.body.update(updated=0, skipped=1)
    facts.row_writes.pop()
    return facts


def test_an_order_that_the_shop_refuses_may_become_a_letter() -> None:
    assert check(refused_by_the_shop()) == []


def test_no_other_order_may() -> None:
    facts = refused_by_the_shop()
    facts.faults[0] = replace(facts.faults[0], detail="a")
    assert found(facts) == {"I1", "I5"}


def test_what_the_shop_refuses_is_counted_as_skipped() -> None:
    facts = refused_by_the_shop()
    facts.calls[1].body.update(updated=1, skipped=0)
    assert "I8" in found(facts)


def test_poison_with_a_letter_passes() -> None:
    facts = right()
    facts.poison.append((1, 4))
    facts.letters[1, 4] = "RecordError"
    facts.ledger.append(outcomes("of a foreign writer", partner=FOREIGN, invalid=[0]))
    facts.replayed_ledger.append(facts.ledger[-1])
    facts.fence[1] = facts.committed[1] = 5
    facts.fence_moves.append(FenceMove(3, 1, 4, 5, 1.7))
    assert check(facts) == []


def test_an_event_of_a_foreign_writer_is_applied_and_nobody_need_be_told() -> None:
    facts = right()
    facts.events.append(event := foreign_event("foreign-applied-dots-1"))
    order = {"phone": None, "address": None, "total_qty": None, **json.loads(event.value)}
    place = {"event_partition": 0, "event_offset": 1, "event_time": datetime.fromtimestamp(TIME_MS / 1000, UTC)}
    facts.rows[event.key] = {**order, **place, "exported": False, "to_pay": order["total_amount"] + order["discount"]}
    for ledger in (facts.ledger, facts.replayed_ledger):
        ledger.append(outcomes("r-foreign", partner=FOREIGN, inserted=[0]))
    facts.fence[0] = facts.committed[0] = 2
    facts.fence_moves.append(FenceMove(3, 0, 1, 2, 1.7))
    facts.row_writes.append(RowWrite(3, event.key, 0, 1))
    assert check(facts) == []
