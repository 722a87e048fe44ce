"""A letter stands as the notes behind it say."""

from consumer.core.record import Record
from consumer.letters.letter import Letter, Settled, read_letter, settled_note
from consumer.letters.states import LetterStates, State
from contracts.topics import Topics

ENDS = {5: 110}


def letter(offset: int, error: str = "E") -> Letter:
    headers = [("partition", b"1"), ("offset", b"2"), ("exception.class.name", error.encode())]
    found = read_letter(
        Record(5, offset, 0, b"k", b"v", [(f"__connect.errors.{name}", text) for name, text in headers])
    )
    assert found is not None
    return found


def note(about: Letter, settled: Settled, offset: int) -> Record:
    sent = settled_note(about, settled, Topics())
    return Record(5, offset, 0, sent.key, sent.value, sent.headers)


def states_after(*settled: Settled) -> LetterStates:
    states = LetterStates({5: 100}, ENDS, lambda found: found.error == "E")
    one, two, other = letter(101), letter(103), letter(104, "other")
    states.add([one.record, Record(5, 102, 0, b"k", b"", []), two.record, other.record])
    states.add(note(about, kind, 105 + at) for at, kind in enumerate(settled) for about in (one, other))
    return states


def test_letters_are_settled_by_notes() -> None:
    for settled, state in ((Settled.DISCARDED, State.DISCARDED), (Settled.REDRIVEN, State.REDRIVEN)):
        states = states_after(settled)
        assert [states.state(5, offset) for offset in range(100, 106)] == [None, state, None, State.OPEN, None, None]
        assert (states.count([State.OPEN]), states.count([state]), states.count(list(State))) == (1, 1, 2)
        assert states.bounds([State.OPEN]) == ({5: 103}, {5: 104})
        assert states.bounds(list(State)) == ({5: 101}, {5: 104})


def test_what_was_redriven_stays_so() -> None:
    assert states_after(Settled.REDRIVEN, Settled.DISCARDED).state(5, 101) is State.REDRIVEN
    assert states_after(Settled.DISCARDED, Settled.REDRIVEN).state(5, 101) is State.REDRIVEN
    assert states_after(Settled.REDRIVEN, Settled.REOPENED).state(5, 101) is State.REDRIVEN


def test_a_discard_can_be_taken_back() -> None:
    assert states_after(Settled.DISCARDED, Settled.REOPENED).state(5, 101) is State.OPEN
    assert states_after(Settled.REOPENED).state(5, 101) is State.OPEN
    assert states_after(Settled.DISCARDED, Settled.REOPENED, Settled.DISCARDED).state(5, 101) is State.DISCARDED


def test_a_note_about_no_letter_changes_nothing() -> None:
    states = LetterStates({5: 100}, ENDS, lambda _: True)
    for offset in (0, 99, 100, 109, 110, 10**17):
        about = letter(offset)
        states.add([note(about, Settled.DISCARDED, 109)])
        assert states.state(5, offset) is None
    assert states.count(list(State)) == 0
    assert states.state(5, None) is states.state(6, 1) is states.state(-1, -1) is None
