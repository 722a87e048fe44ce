"""The checker on a small history that is right, and on the same history with one thing wrong."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from chaos.checker import RULES, check
from chaos.facts import RESTORES, Facts, FenceMove
from chaos.history import Call, FaultSeen
from chaos.workload import INVALID, canonical_of
from support.right_history import PLAIN, event, found, outcomes, right


def test_nothing_is_found_if_nothing_is_wrong() -> None:
    assert check(right()) == []


def drop_event(facts: Facts) -> None:
    facts.events = facts.events[1:]


def answer_too_early(facts: Facts) -> None:
    facts.fence_moves[0] = replace(facts.fence_moves[0], at_s=2.5)


def ghost_event(facts: Facts) -> None:
    facts.events.append(event(0, 1, "nobody", ("g", 1)))


def ghost_row(facts: Facts) -> None:
    facts.rows["ant", "ghost"] = {**facts.rows["ant", "a"], "event_offset": 7}


def changed_on_the_way(facts: Facts) -> None:
    facts.events[0] = replace(facts.events[0], value=canonical_of("ant", ("a", 2)))


def invalid_published(facts: Facts) -> None:
    facts.events.append(event(0, 1, PLAIN, ("c", INVALID), 2))


def published_under_two_ids(facts: Facts) -> None:
    facts.events.append(event(1, 4, PLAIN, ("b", 1), 1, request_id="another"))


def one_id_for_two(facts: Facts) -> None:
    facts.events.append(event(1, 4, PLAIN, ("b", 2), 1))


def settled_twice(facts: Facts) -> None:
    facts.ledger.append(facts.ledger[1])


def never_settled(facts: Facts) -> None:
    facts.ledger.pop()


def conflict_settled(facts: Facts) -> None:
    facts.ledger.append(outcomes("k", "d2", updated=[0]))


def two_bodies_under_one_key(facts: Facts) -> None:
    facts.ledger.append(outcomes("k", "d3", updated=[0]))


def written_backwards(facts: Facts) -> None:
    facts.row_writes[1:] = reversed(facts.row_writes[1:])


def written_by_a_zombie(facts: Facts) -> None:
    facts.row_writes[2] = replace(facts.row_writes[2], tx=1)


def stale_row(facts: Facts) -> None:
    facts.rows["ant", "b"]["event_offset"] = 0


def falsified_row(facts: Facts) -> None:
    facts.rows["ant", "b"]["total_amount"] += 1


def row_lost(facts: Facts) -> None:
    del facts.rows["ant", "b"]


def row_of_another_time(facts: Facts) -> None:
    facts.rows["ant", "b"]["event_time"] = datetime.now(UTC)


def gap(facts: Facts) -> None:
    facts.fence_moves[2] = replace(facts.fence_moves[2], before=2)


def applied_twice(facts: Facts) -> None:
    facts.fence_moves.append(FenceMove(3, 1, 1, 4, 1.7))


def passed_over(facts: Facts) -> None:
    facts.ledger[0] = outcomes("r-11", inserted=[0])


def end_not_reached(facts: Facts) -> None:
    facts.fence[0] = 0


def replayed_otherwise(facts: Facts) -> None:
    facts.replayed_texts[0] = "c"


def replayed_with_other_outcomes(facts: Facts) -> None:
    facts.replayed_ledger[1] = outcomes("k", "d1", inserted=[0])


def wrong_count(facts: Facts) -> None:
    facts.calls[0].body["inserted"] = 3


def wrong_on_repeat(facts: Facts) -> None:
    facts.calls[2].body.update(updated=0, skipped=1)


def wrong_order_told(facts: Facts) -> None:
    facts.calls[0].body["orders"] = [{"index": 0, "outcome": "updated"}]


def wrong_status(facts: Facts) -> None:
    facts.calls[0].location = "/requests/r-11"
    done = {"status": "done", "size": 3, "inserted": 1, "updated": 0, "skipped": 2}
    facts.calls.append(Call("77", "client 1", "ant", (), 0, 3, "status", asked_of=PLAIN, status=200, body=done))


def status_of_another(facts: Facts) -> None:
    facts.calls.append(Call("77", "client 1", "bee", (), 0, 3, "status", asked_of=PLAIN, status=200, body={}))


def event_of_another(facts: Facts) -> None:
    facts.events[0] = replace(facts.events[0], partner="bee")


def row_of_another(facts: Facts) -> None:
    facts.rows["ant", "a"]["name"] = "bee 1"


def refused_and_published(facts: Facts) -> None:
    facts.events.append(event(0, 1, "66", ("b", 1)))


def conflict_without_a_letter(facts: Facts) -> None:
    facts.letters.clear()


def broken_and_accepted(facts: Facts) -> None:
    facts.calls[4].status = 200


def lag(facts: Facts) -> None:
    facts.lag_gone_s = None


def somebody_waits(facts: Facts) -> None:
    facts.not_served.append("client 1 on ingress 0")


def died(facts: Facts) -> None:
    facts.unexpected.append("consumer 1 ended by itself")


def offsets_left(facts: Facts) -> None:
    facts.committed[1] = 3


def nobody_was_told(facts: Facts) -> None:
    facts.results.pop(0)


WRONG: dict[Callable[[Facts], None], str] = {
    drop_event: "I1",
    answer_too_early: "I1",
    ghost_event: "I2",
    ghost_row: "I2",
    changed_on_the_way: "I2",
    invalid_published: "I2",
    published_under_two_ids: "I3",
    one_id_for_two: "I3",
    settled_twice: "I3",
    never_settled: "I3",
    conflict_settled: "I3",
    two_bodies_under_one_key: "I3",
    written_backwards: "I4",
    written_by_a_zombie: "I4",
    stale_row: "I5",
    falsified_row: "I5",
    row_lost: "I5",
    row_of_another_time: "I5",
    gap: "I6",
    applied_twice: "I6",
    end_not_reached: "I6",
    passed_over: "I6",
    replayed_otherwise: "I7",
    replayed_with_other_outcomes: "I7",
    wrong_count: "I8",
    wrong_on_repeat: "I8",
    wrong_order_told: "I8",
    wrong_status: "I8",
    status_of_another: "I9",
    event_of_another: "I9",
    row_of_another: "I9",
    refused_and_published: "I10",
    conflict_without_a_letter: "I10",
    broken_and_accepted: "I10",
    lag: "I11",
    somebody_waits: "I11",
    died: "I11",
    offsets_left: "I11",
    nobody_was_told: "I11",
}


@pytest.mark.parametrize("doctor", WRONG, ids=lambda doctor: doctor.__name__)
def test_one_wrong_thing_is_found_by_its_invariant(doctor: Callable[[Facts], None]) -> None:
    facts = right()
    doctor(facts)
    assert WRONG[doctor] in found(facts)


def test_a_copy_of_a_record_is_not_a_second_event() -> None:
    facts = right()
    facts.events.append(event(1, 4, PLAIN, ("b", 1), 1))  # a producer that does not know whether it arrived
    facts.fence[1] = facts.committed[1] = 5
    facts.fence_moves.append(FenceMove(3, 1, 4, 5, 1.7))
    assert check(facts) == []


def test_every_invariant_can_fail() -> None:
    assert {rule.split()[0] for rule in RULES} == set(WRONG.values()) == {f"I{number}" for number in range(1, 12)}


@pytest.mark.parametrize("kind", RESTORES)
def test_after_a_restore_what_was_answered_before_may_be_applied_again(kind: str) -> None:
    facts = right()
    answer_too_early(facts)
    facts.faults.append(FaultSeen(kind, "", 1.8, 2.2))
    assert check(facts) == []


def test_after_a_restore_that_was_made_good_no_answer_comes_too_early() -> None:
    facts = right()
    facts.faults.append(FaultSeen("postgres restore", "", 0.2, 0.4))  # everything is asked for after it
    answer_too_early(facts)
    assert found(facts) == {"I1"}
