"""The invariants I1 to I11, each a pure function from what was collected to what is wrong."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from chaos import history_rules, table_rules
from chaos.facts import Facts
from chaos.model import Modelled, run

Rule = Callable[[Facts, Modelled], Iterator[str]]
SHOWN_MAX = 5

RULES: dict[str, Rule] = {
    "I1 every acknowledged order is in the topic and applied": history_rules.acknowledged_is_applied,
    "I2 nothing in the table without an event, no event without a request": history_rules.everything_has_a_request,
    "I3 each (request_id, index) has one event and one outcome": table_rules.one_event_and_one_outcome,
    "I4 offsets applied in order": table_rules.applied_in_order,
    "I5 each row equals the newest event of its key": table_rules.rows_are_the_newest_events,
    "I6 no gap in what was applied": table_rules.no_gap,
    "I7 a replay into an empty database gives the same rows": table_rules.a_replay_gives_the_same,
    "I8 the answers equal those of a sequential model": history_rules.answers_are_those_of_the_model,
    "I9 no partner saw another's data": history_rules.partners_are_apart,
    "I10 nothing of a 4xx or 503 was or will be applied": history_rules.refused_is_not_applied,
    "I11 healed, everybody is answered and nothing is left to do": table_rules.healed,
}


@dataclass(frozen=True, slots=True)
class Violation:
    invariant: str
    text: str


def check(facts: Facts) -> list[Violation]:
    model = run(facts.events, facts.letters)
    return [Violation(name, text) for name, rule in RULES.items() for text in rule(facts, model)]


def shown(violations: list[Violation]) -> list[str]:
    """The first few of each invariant, and how many there are."""
    lines = []
    for invariant, count in Counter(violation.invariant for violation in violations).items():
        texts = [violation.text for violation in violations if violation.invariant == invariant]
        lines.append(f"{invariant}: {count} times")
        lines += [f"    {text}" for text in texts[:SHOWN_MAX]]
    return lines
