"""What each event does: examples, and properties over random histories."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.batch import Batch
from consumer.core.decode import content_hash, decode
from consumer.core.fold import Folded, RowState, fold, row_state
from consumer.core.record import Decoded, Event, OrderKey, Record, Rejected
from consumer.core.replies import request_parts
from contracts.order import Order
from contracts.partitioner import partition_of
from contracts.result import Outcome
from support.events import TIME, batch_of, event
from support.orders import an_order


@dataclass
class Result:
    """What a fold made, with objects for positions."""

    outcomes: list[Outcome]
    changed: dict[OrderKey, Event]
    rejected: list[Rejected]
    states: dict[OrderKey, RowState]


def fold_all(items: Sequence[Decoded], rows: Mapping[OrderKey, RowState]) -> Result:
    """The same if the records are columns as if they are objects, and if their orders are read ahead."""
    records = [item.record for item in items]
    results = [
        result_of(batch, fold(batch, rows))
        for batch in (Batch.of(items, {}), batch_of(records), batch_of(records, orders=True))
    ]
    assert results[1:] == results[:1] * 2
    return results[0]


def result_of(batch: Batch, folded: Folded) -> Result:
    changed = {key: batch.columns.event(position) for key, position in folded.changed.items()}
    states = {key: row_state(batch.columns, position) for key, position in folded.changed.items()}
    return Result(folded.outcomes, changed, folded.rejected, states)


def test_each_outcome() -> None:
    row = event(5)
    rows = fold_all([row], {}).states
    assert fold_all([event(1)], {}).outcomes == [Outcome.INSERTED]
    assert fold_all([event(6)], rows).outcomes == [Outcome.UNCHANGED]
    assert fold_all([event(6, "B")], rows).outcomes == [Outcome.UPDATED]
    assert fold_all([event(5, "B")], rows).outcomes == [Outcome.STALE]
    assert fold_all([event(4, "B")], rows).outcomes == [Outcome.STALE]


def test_a_batch_is_folded_over_itself_and_only_the_last_state_is_written() -> None:
    folded = fold_all([event(1, "A"), event(2, "B"), event(3, "B"), event(4, "A")], {})
    assert folded.outcomes == [Outcome.INSERTED, Outcome.UPDATED, Outcome.UNCHANGED, Outcome.UPDATED]
    assert [changed.record.offset for changed in folded.changed.values()] == [4]


def test_an_unchanged_row_is_not_written() -> None:
    rows = fold_all([event(1)], {}).states
    assert fold_all([event(2)], rows).changed == {}


def test_partners_do_not_share_keys() -> None:
    folded = fold_all([event(1, partner="p"), event(2, partner="q")], {})
    assert folded.outcomes == [Outcome.INSERTED, Outcome.INSERTED]


def test_an_event_in_the_wrong_partition_is_rejected_with_and_without_a_row() -> None:
    right = event(1)
    wrong = replace(right, record=replace(right.record, partition=(right.record.partition + 1) % 12, offset=9), place=9)
    for rows in ({}, fold_all([right], {}).states):
        folded = fold_all([wrong], rows)
        assert folded.outcomes == [Outcome.INVALID]
        assert folded.rejected[0].error == "MisplacedKey"
        assert folded.changed == {}


def test_a_rejected_record_without_a_request_has_no_outcome() -> None:
    rejected = decode(Record(0, 0, 0, None, None, ()))
    folded = fold_all([rejected], {})
    assert folded.rejected == [rejected]
    assert request_parts(Batch.of([rejected], {}), folded.outcomes) == []


HISTORIES = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.sampled_from(["p", "q"])), max_size=30
).map(lambda steps: [event(n, name, key, partner=partner, index=n) for n, (key, name, partner) in enumerate(steps)])


@given(HISTORIES)
def test_outcomes_and_rows_are_those_of_a_sequential_model(events: list[Event]) -> None:
    model: dict[OrderKey, str] = {}
    expected = []
    for item in events:
        before = model.get(item.key)
        model[item.key] = item.order.name
        expected.append(
            Outcome.INSERTED if before is None
            else Outcome.UNCHANGED if before == item.order.name
            else Outcome.UPDATED
        )  # fmt: skip
    folded = fold_all(events, {})
    assert folded.outcomes == expected
    assert {key: changed.order.name for key, changed in folded.changed.items()} == model


@given(HISTORIES, st.lists(st.integers(0, 30), max_size=4))
def test_how_a_history_is_cut_into_batches_changes_nothing(events: list[Event], cuts: list[int]) -> None:
    rows: dict[OrderKey, RowState] = {}
    found: list[Outcome] = []
    edges = sorted({0, len(events), *(min(cut, len(events)) for cut in cuts)})
    for start, end in pairwise(edges):
        folded = fold_all(events[start:end], rows)
        found += folded.outcomes
        rows.update(folded.states)
    whole = fold_all(events, {})
    assert found == whole.outcomes
    assert rows == whole.states


@given(HISTORIES, st.integers(0, 30))
def test_applying_again_what_was_applied_never_changes_a_row(events: list[Event], cut: int) -> None:
    rows = fold_all(events, {}).states
    again = fold_all(events[:cut], rows)
    assert again.changed == {}
    assert set(again.outcomes) <= {Outcome.STALE, Outcome.UNCHANGED}


def test_the_content_hash_is_that_of_the_value_and_not_of_its_spelling() -> None:
    def hashed(**changes: Any) -> bytes:
        return content_hash(Order.model_validate(an_order(**changes)))

    assert hashed(total_amount="2500") == hashed(total_amount=2500)
    assert hashed(products=[{"product_sku_id": "S", "amount": 12.5, "qty": "2"}]) == hashed()
    assert hashed(phone=None) != hashed(phone="")
    assert len(hashed()) == 16


def test_outcomes_are_filed_request_by_request() -> None:
    items = Batch.of(
        [
            event(3, "A", "a", request=1, index=0),
            event(1, "A", "b", request=2, index=0),
            event(4, "B", "a", request=1, index=5),
            event(2, "A", "b", request=2, partner="q", index=9),  # the same id from another partner is another request
        ],
        {},
    )
    parts = request_parts(items, fold(items, {}).outcomes)
    assert [(part.context.request_id.int, part.context.partner_id, part.first_offset) for part in parts] == [
        (1, "p", 3),
        (2, "p", 1),
        (2, "q", 2),
    ]
    assert parts[0].outcomes_json == '{"inserted":[0],"updated":[5],"unchanged":[],"invalid":[],"stale":[]}'
    assert parts[0].day == TIME.date()


@pytest.fixture
def batch() -> Batch:
    a, b = partition_of(b"a", 12), partition_of(b"b", 12)
    assert a != b
    return Batch.of([event(10, "A", "a"), event(20, "A", "b"), event(11, "A", "a"), event(22, "A", "b")], {a: 9, b: 20})


def test_a_batch_knows_where_it_ends(batch: Batch) -> None:
    a, b = partition_of(b"a", 12), partition_of(b"b", 12)
    assert batch.ends == {a: 12, b: 23}


def test_the_second_half_of_a_batch_starts_where_the_first_ended(batch: Batch) -> None:
    a, b = partition_of(b"a", 12), partition_of(b"b", 12)
    first, second = batch.cut(2)
    assert [*first.items, *second.items] == batch.items
    assert first.starts == {a: 9, b: 20}
    assert second.starts == {a: 11, b: 21}


def test_a_batch_without_the_partitions_that_were_lost(batch: Batch) -> None:
    a = partition_of(b"a", 12)
    kept = batch.without({partition_of(b"b", 12)})
    assert {decoded.record.partition for decoded in kept.items} == {a}
    assert kept.starts == {a: 9}
