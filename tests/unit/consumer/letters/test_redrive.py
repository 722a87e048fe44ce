"""Redriven events take their original place, whatever came in between."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.batch import Batch
from consumer.core.decode import decode
from consumer.core.fold import RowState, fold, row_state
from consumer.core.record import Decoded, Event, OrderKey, Outgoing, Record, Rejected, Stage
from consumer.letters.letter import Letter, dead_letter, read_letter
from consumer.letters.redrive import redriven
from contracts.event import Origin, RecordError, read_headers
from contracts.partitioner import partition_of
from contracts.result import Outcome
from contracts.topics import Topics
from deploy.errors import SelectionError
from deploy.letter_selection import Filters
from deploy.times import moment
from support.events import REPLY_TO, TIME, event

TOPICS = Topics()
NEW_ID = UUID(int=99)


def refused(item: Event) -> Rejected:
    return item.rejected(Stage.TASK_PUT, "RefusedByPostgres", "23514")


def as_record(outgoing: Outgoing, partition: int, offset: int, time: datetime = TIME) -> Record:
    """The sent record, as it is read."""
    time_ms = outgoing.time_ms or int(time.timestamp() * 1000)
    return Record(partition, offset, time_ms, outgoing.key, outgoing.value, outgoing.headers)


def letter_of(rejected: Rejected, offset: int = 0) -> Letter:
    letter = read_letter(as_record(dead_letter(rejected, TOPICS), 5, offset))
    assert letter is not None
    return letter


def redriven_event(rejected: Rejected, offset: int) -> Event:
    """The event that a redrive appends to the partition of its key."""
    sent = redriven(letter_of(rejected), TOPICS, lambda: NEW_ID)
    decoded = decode(as_record(sent, partition_of(sent.key or b"", 12), offset, TIME + timedelta(hours=1)))
    assert isinstance(decoded, Event)
    return decoded


class Table:
    """Rows and open letters, as Postgres keeps them between batches."""

    def __init__(self) -> None:
        self.rows: dict[OrderKey, RowState] = {}
        self.names: dict[OrderKey, str] = {}
        self.letters: dict[OrderKey, int] = {}

    def apply(self, batch: Sequence[Decoded]) -> list[Outcome]:
        whole = Batch.of(batch, {})
        folded = fold(whole, self.rows, self.letters)
        for key, position in folded.changed.items():
            self.rows[key] = row_state(whole.columns, position)
            self.names[key] = whole.columns.event(position).order.name
        for key, offset in folded.letters.items():
            if offset is None:
                self.letters.pop(key, None)
            else:
                self.letters[key] = offset
        return folded.outcomes


@st.composite
def histories(draw: Any) -> tuple[list[Decoded], list[int]]:
    """Events of one order, of which some are refused and redriven later, some twice; and the sizes of batches."""
    decoded: list[Decoded] = []
    letters: list[Rejected] = []
    for offset in range(draw(st.integers(1, 14))):
        if letters and draw(st.booleans()):
            decoded.append(redriven_event(draw(st.sampled_from(letters)), offset))
            continue
        item = event(offset, draw(st.sampled_from("AB")))
        if draw(st.booleans()):
            letters.append(refused(item))
            decoded.append(letters[-1])
        else:
            decoded.append(item)
    return decoded, draw(st.lists(st.integers(1, 5), min_size=14, max_size=14))


@given(histories())
def test_the_row_is_always_the_newest_event_by_the_place_it_had_at_first(
    history: tuple[list[Decoded], list[int]],
) -> None:
    decoded, sizes = history
    table, done = Table(), 0
    for size in sizes:
        table.apply(decoded[done : done + size])
        done += size
        applied = [item for item in decoded[:done] if isinstance(item, Event)]
        newest = max(applied, key=lambda item: item.place, default=None)
        assert table.names == ({newest.key: newest.order.name} if newest else {})


@given(histories())
def test_how_batches_are_cut_changes_nothing(history: tuple[list[Decoded], list[int]]) -> None:
    decoded, sizes = history
    whole, cut, done = Table(), Table(), 0
    outcomes = []
    for size in sizes:
        outcomes += cut.apply(decoded[done : done + size])
        done += size
    assert outcomes == whole.apply(decoded)
    assert (whole.rows, whole.names, whole.letters) == (cut.rows, cut.names, cut.letters)


def test_the_same_value_behind_a_letter_makes_the_letter_older() -> None:
    """A, then B, which is refused, then A again: B must not overwrite the newer A."""
    table = Table()
    first, second, third = event(0, "A"), refused(event(1, "B")), event(2, "A")
    assert table.apply([first, second]) == [Outcome.INSERTED, Outcome.INVALID]
    assert table.letters == {first.key: 1}
    assert table.apply([third]) == [Outcome.UNCHANGED]
    assert table.letters == {}
    assert table.apply([redriven_event(second, 3)]) == [Outcome.STALE]
    assert table.names == {first.key: "A"}


def test_redriving_twice_changes_nothing() -> None:
    table, letter = Table(), refused(event(1, "B"))
    table.apply([event(0, "A"), letter])
    assert table.apply([redriven_event(letter, 2)]) == [Outcome.UPDATED]
    before = dict(table.rows)
    assert table.apply([redriven_event(letter, 3)]) == [Outcome.STALE]
    assert table.rows == before
    assert [row.place for row in table.rows.values()] == [1]  # the row names the origin


def test_an_event_from_another_partition_fills_a_gap_and_never_overwrites() -> None:
    """Its place is not comparable with places in the partition of its key."""
    strayed = event(70, "strayed")
    elsewhere = replace(strayed.record, partition=(strayed.record.partition + 1) % 12)
    table = Table()
    folded = fold(Batch.of([replace(strayed, record=elsewhere)], {}), {})
    assert folded.letters == {}
    back = redriven_event(folded.rejected[0], 4)
    assert (back.place, back.is_foreign) == (4, True)
    assert back.time == back.record.time
    assert table.apply([back, back]) == [Outcome.INSERTED, Outcome.STALE]
    assert table.apply([event(5, "newer"), redriven_event(folded.rejected[0], 6)]) == [Outcome.UPDATED, Outcome.STALE]


def test_a_redriven_event_is_a_request_of_its_own_and_names_its_origin() -> None:
    item = event(7, "B", reply_to=REPLY_TO, request=5, index=3)
    sent = redriven(letter_of(refused(item)), TOPICS, lambda: NEW_ID)
    assert (sent.topic, sent.key, sent.value) == ("orders.upserts", item.record.key, item.record.value)
    context, index = read_headers(sent.headers)
    assert context.origin == Origin(item.record.partition, 7, TIME)
    assert (context.request_id, index, context.size, context.invalid) == (NEW_ID, 0, 1, None)
    assert context.reply_to is None
    assert (context.partner_id, context.time) == (item.context.partner_id, item.context.time)
    assert not [name for name, _ in sent.headers if name.startswith("__connect")]
    assert redriven_event(refused(item), 9).time == TIME


def test_a_letter_that_comes_back_keeps_its_first_origin() -> None:
    again = refused(redriven_event(refused(event(7, "B")), 20))
    letter = letter_of(again)
    assert (letter.offset, letter.record.time) == (20, TIME)
    assert redriven_event(again, 30).place == 7


def test_an_origin_behind_the_event_itself_is_not_an_origin() -> None:
    """Otherwise a writer could make all future events stale."""
    item = event(7, "B")
    for offset in (8, 9):
        headers = [*item.record.headers, *Origin(item.record.partition, offset, TIME).headers()]
        decoded = decode(replace(item.record, headers=headers))
        assert isinstance(decoded, Rejected)
        assert decoded.context is None if offset > 7 else True


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        (
            {"ce_originpartition": b"x", "ce_originoffset": b"1", "ce_origintime": b"2026-11-24T00:00:00Z"},
            "a partition",
        ),
        ({"ce_originpartition": b"1", "ce_originoffset": b"-1", "ce_origintime": b"2026-11-24T00:00:00Z"}, "an offset"),
        ({"ce_originpartition": b"1", "ce_originoffset": b"1"}, "ce_origintime is missing"),
        ({"ce_originoffset": b"1"}, "ce_originpartition is missing"),
        ({"ce_originpartition": b"1", "ce_originoffset": b"1", "ce_origintime": b"now"}, "RFC 3339"),
    ],
)
def test_a_wrong_origin_is_named(headers: dict[str, bytes], text: str) -> None:
    with pytest.raises(RecordError, match=text):
        read_headers([*event(0).record.headers, *headers.items()])


def test_the_time_of_a_letter_is_one_that_a_broker_takes() -> None:
    item = event(7, "B")
    for time in (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)):
        headers = [*item.record.headers, *Origin(item.record.partition, 3, time).headers()]
        decoded = decode(replace(item.record, headers=headers))
        assert isinstance(decoded, Event)
        assert 0 <= refused(decoded).time_ms <= item.record.time_ms


def test_filters() -> None:
    letter = letter_of(refused(event(7, order_id="O-7", partner="acme")), 4)
    hour = timedelta(hours=1)
    fitting: list[dict[str, Any]] = [
        {}, {"ids": frozenset({"5:4"})}, {"reason": "RefusedByPostgres"}, {"reason": "235"}, {"partner": "acme"},
        {"order": "O-7"}, {"since": TIME}, {"until": TIME + hour},
    ]  # fmt: skip
    other: list[dict[str, Any]] = [
        {"ids": frozenset({"5:5"})}, {"reason": "Refused"}, {"partner": "acm"}, {"order": "O"},
        {"since": TIME + hour}, {"until": TIME},
    ]  # fmt: skip
    assert all(Filters(**fields).let_through(letter) for fields in fitting)
    assert not any(Filters(**fields).let_through(letter) for fields in other)


def test_moments() -> None:
    assert moment("2h", TIME) == TIME - timedelta(hours=2)
    assert moment("2026-03-24", TIME) == TIME
    assert moment("2026-03-24T02:00+02:00", TIME) == TIME
    with pytest.raises(SelectionError, match="is not a time"):
        moment("soon", TIME)
