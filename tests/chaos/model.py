"""The sequential model: what becomes of every event when the topic is read from its beginning, by one reader.

It shares no code with the consumer. Which of two bodies under one Idempotency-Key counts does not follow from the
offsets of two partitions. The dead letters record that decision, so the model takes it from them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from chaos.facts import APPLIED_BEFORE, CONFLICT, KEPT, LATER, UNAPPLIED, Event, Identity, Key, Position


@dataclass
class Modelled:
    """`rows`: the event that each row shows. `outcomes`: by request and index; `applied`: events that got one."""

    rows: dict[Key, Event] = field(default_factory=dict)
    outcomes: dict[Identity, dict[int, str]] = field(default_factory=dict)
    applied: set[Position] = field(default_factory=set)

    def outcomes_of_request(self, partner: str, request_id: str) -> dict[int, str]:
        """The outcomes of the body that owns the key, if several bodies share it."""
        return self._by_request.get((partner, request_id), {})

    @cached_property
    def _by_request(self) -> dict[tuple[str, str], dict[int, str]]:
        return {(partner, request_id): found for (partner, request_id, _), found in self.outcomes.items() if found}


def run(events: Iterable[Event], letters: Mapping[Position, str]) -> Modelled:
    """`events`: in each partition by offset. A letter makes its event invalid, unless it is about a conflict, or about
    an event that was applied before a reseed: that one is for the replay.

    If Kafka lost something: what was kept, then what was lost, then what came later. A row whose event is gone and that
    what was kept does not explain is written again: the next event of its order takes it, changed or not.
    """
    model = Modelled()
    values: dict[Key, bytes] = {}
    kept: dict[Key, Event] = {}
    era = KEPT
    for event in events:
        if event.era == UNAPPLIED:
            continue
        if event.era != era and era == KEPT:
            kept = dict(model.rows)
        if event.era != era and event.era == LATER:
            _explain(model, kept)
        era = event.era
        letter = letters.get(event.position)
        outcomes = model.outcomes.setdefault(event.identity, {})
        if letter == CONFLICT or event.index in outcomes:  # a copy is not a second event
            continue
        model.applied.add(event.position)
        if letter not in (None, APPLIED_BEFORE):
            outcomes[event.index] = "invalid"
            continue
        key = event.key
        outcomes[event.index] = (
            "inserted" if key not in values else "unchanged" if values[key] == event.value else "updated"
        )
        if outcomes[event.index] != "unchanged" or (event.is_there and not model.rows[key].is_there):
            values[key] = event.value
            model.rows[key] = event
    return model


def _explain(model: Modelled, kept: Mapping[Key, Event]) -> None:
    """The rows that have the value of an event which is still there."""
    for key, row in model.rows.items():
        if not row.is_there and key in kept and kept[key].value == row.value:
            model.rows[key] = kept[key]
