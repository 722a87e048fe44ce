"""How letters stand: open, or settled by a note behind them. Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping
from enum import StrEnum

from consumer.core.record import Record
from consumer.letters.letter import Letter, Settled, read_letter, read_note


class State(StrEnum):
    OPEN = "open"
    REDRIVEN = "redriven"
    DISCARDED = "discarded"


_STATES = [None, *State]
_CODES = {state: code for code, state in enumerate(_STATES)}
_AFTER = {
    Settled.REDRIVEN: {State.OPEN: State.REDRIVEN, State.DISCARDED: State.REDRIVEN},
    Settled.DISCARDED: {State.OPEN: State.DISCARDED},
    Settled.REOPENED: {State.DISCARDED: State.OPEN},
}
"""What each note changes. An event that was redriven stays so."""


def state_after(state: State | None, settled: Settled) -> State | None:
    """The state of a letter after a note about it. None: there is no such letter."""
    return None if state is None else _AFTER[settled].get(state, state)


class LetterStates:
    """The state of each letter that passes a filter. Takes one byte for each record of the topic."""

    def __init__(
        self, starts: Mapping[int, int], ends: Mapping[int, int], let_through: Callable[[Letter], bool]
    ) -> None:
        """`starts`, `ends`: the first offset of each partition, and the one after its last record."""
        self._let_through = let_through
        self._starts = starts
        self._codes = {partition: bytearray(end - starts[partition]) for partition, end in ends.items()}

    def add(self, records: Iterable[Record]) -> None:
        """Takes records of the dead-letter topic, ordered by offset within each partition."""
        for record in records:
            self.add_read(record, read_letter(record))

    def add_read(self, record: Record, letter: Letter | None) -> None:
        """The same for one record. `letter`: what `read_letter` says of it."""
        if letter is None:
            self._settle(record)
        elif self._let_through(letter):
            self._set(record.partition, record.offset, State.OPEN)

    def state(self, partition: int, offset: int | None) -> State | None:
        """None if there is no such letter, or the filter does not let it through."""
        if partition not in self._codes or offset is None:
            return None
        codes, at = self._codes[partition], offset - self._starts[partition]
        return _STATES[codes[at]] if 0 <= at < len(codes) else None

    def count(self, wanted: Collection[State]) -> int:
        return sum(codes.count(_CODES[state]) for codes in self._codes.values() for state in set(wanted))

    def bounds(self, wanted: Collection[State]) -> tuple[dict[int, int], dict[int, int]]:
        """For each partition with a wanted letter: the offset of the first one, and the offset after the last one."""
        firsts, ends = dict[int, int](), dict[int, int]()
        sought = [bytes([_CODES[state]]) for state in wanted]
        for partition, codes in self._codes.items():
            found = [at for at in map(codes.find, sought) if at >= 0]
            if found:
                firsts[partition] = self._starts[partition] + min(found)
                ends[partition] = self._starts[partition] + max(map(codes.rfind, sought)) + 1
        return firsts, ends

    def _set(self, partition: int, offset: int, state: State) -> None:
        self._codes[partition][offset - self._starts[partition]] = _CODES[state]

    def _settle(self, record: Record) -> None:
        note = read_note(record)
        if note is None:
            return
        settled, offset = note
        state = state_after(self.state(record.partition, offset), settled)
        if state is not None:
            self._set(record.partition, offset, state)
