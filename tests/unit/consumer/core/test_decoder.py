"""Records read as columns say the same as records read one by one, whatever is in them."""

import json
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.batch import Batch, Columns
from consumer.core.decode import decode, identify
from consumer.core.decoder import REQUESTS_MAX, Decoder
from consumer.core.fold import RowState, fold, row_state
from consumer.core.record import Event, OrderKey, Record, Rejected
from consumer.core.repeats import classify
from consumer.core.replies import request_parts
from contracts.event import Headers
from contracts.limits import ORDER_BYTES_MAX
from contracts.partitioner import partition_of
from contracts.result import Outcome
from support.events import REPLY_TO, batch_of, decode_all, record
from support.orders import an_order

_ID = b"00000000-0000-0000-0000-000000000001/"
IDS = [_ID + b"2", _ID + b"01", _ID + b"1000", b"x", b"", b"/", None]
ORIGIN = [
    ("ce_originpartition", b"%d" % partition_of(b"a", 12)),
    ("ce_originoffset", b"1"),
    ("ce_origintime", b"2026-01-01T00:00:00Z"),
]
LATER = [ORIGIN[0], ("ce_originoffset", b"99"), ORIGIN[2]]
TOO_LARGE = b" " * (ORDER_BYTES_MAX + 1)


def without(headers: Headers, prefix: str) -> Headers:
    return [(name, value) for name, value in headers if not name.startswith(prefix)]


# Each makes another record of one, and most of them a bad one.
CHANGES: dict[str, Any] = {
    "nothing": lambda item, _: item,
    "key": lambda item, draw: replace(item, key=draw(st.sampled_from([None, b"", b"a\0", b"\xff", b"b", b"k" * 5000]))),
    "value": lambda item, draw: replace(
        item, value=draw(st.sampled_from([None, b"", b"{}", b"\xff", b" " + item.value, TOO_LARGE]))
    ),
    "spelling": lambda item, _: replace(item, value=item.value.replace(b'"discount":0', b'"discount":"0"')),
    "escape": lambda item, _: replace(item, value=item.value.replace(b'"name":"', b'"name":"\\"')),
    "invalid": lambda item, _: replace(item, value=item.value.replace(b'"discount":0', b'"discount":-1')),
    "partition": lambda item, draw: replace(item, partition=draw(st.integers(0, 11))),
    "no headers": lambda item, draw: replace(item, headers=draw(st.sampled_from([(), [], [("other", None)]]))),
    "id": lambda item, draw: replace(item, headers=[("ce_id", draw(st.sampled_from(IDS))), *item.headers[1:]]),
    "order of headers": lambda item, draw: replace(item, headers=draw(st.permutations(item.headers))),
    "a second id": lambda item, draw: replace(item, headers=[*item.headers, ("ce_id", draw(st.sampled_from(IDS)))]),
    "a header less": lambda item, draw: replace(item, headers=item.headers[: draw(st.integers(0, len(item.headers)))]),
    "headers that do not name the request": lambda item, _: replace(item, headers=without(item.headers, "kafka_cor")),
    "origin": lambda item, draw: replace(item, headers=[*item.headers, *ORIGIN[: draw(st.sampled_from([3, 3, 3, 1]))]]),
    "a later origin": lambda item, _: replace(item, headers=[*item.headers, *LATER]),
}


@cache
def unchanged(order_id: str, name: str, request: int, index: int, partner: str, digest: str | None) -> Record:
    order = an_order(order_id, name=name)
    return record(order, 0, request=request, index=index, partner=partner, digest=digest, reply_to=REPLY_TO)


RECORDS = st.builds(
    unchanged,
    st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(1, 2), st.integers(0, 3), st.sampled_from("pq"),
    st.sampled_from([None, "d" * 32]),
)  # fmt: skip


@st.composite
def logs(draw: st.DrawFn) -> list[Record]:
    """Records of few requests and orders, in which each kind of change is met."""
    changes = st.just("nothing") | st.sampled_from(sorted(CHANGES))
    items = draw(st.lists(st.tuples(RECORDS, changes), max_size=12))
    return [CHANGES[change](replace(item, offset=2 + n), draw) for n, (item, change) in enumerate(items)]


LETTERS = st.dictionaries(st.tuples(st.sampled_from("pq"), st.sampled_from("abc")), st.integers(0, 30), max_size=3)


@given(logs())
def test_columns_say_the_same_as_objects(records: list[Record]) -> None:
    assert batch_of(records).items == [identify(item) for item in records]
    ahead = batch_of(records, orders=True)
    assert [read(ahead, position) for position in range(len(records))] == [decode(item) for item in records]


def read(batch: Batch, position: int) -> Any:
    columns = batch.columns
    return columns.decoded(position) if position in columns.objects else columns.event(position)


@given(logs(), LETTERS)
def test_columns_are_folded_as_objects_are(records: list[Record], letters: dict[OrderKey, int]) -> None:
    """Over the rows that a part of the same events has left; with letters, without, and if orders are read ahead."""
    rows = rows_after(records[::3])
    ways = [Batch.of([identify(item) for item in records], {}), batch_of(records), batch_of(records, orders=True)]
    for open_letters in ({}, letters):
        results = [told(batch, rows, open_letters) for batch in ways]
        assert results[1:] == results[:1] * 2


def test_a_letter_of_the_same_batch_counts() -> None:
    """The event after it changes nothing, and yet becomes the row: so the letter does not look newer than the row."""
    row, invalid, after = (
        record(an_order("a", discount=discount), n, request=n) for n, discount in enumerate((0, -1, 0))
    )
    batch = batch_of([invalid, after])
    folded = fold(batch, rows_after([row]))
    assert folded.outcomes == [Outcome.INVALID, Outcome.UNCHANGED]
    assert (folded.changed, folded.letters) == ({("p", "a"): 1}, {("p", "a"): None})


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"Ada\0": 1}, "Input should not contain the character \\u0000"),
        ({"Ada": "\0"}, "a field that the contract does not have: Input should not contain the character \\u0000"),
        ({"Ada": {"products": ["\0"]}}, "a field that the contract does not have: "),
        ({"products": [{"Ada": "\0"}]}, "a field that the contract does not have: "),
        ({"products": [{"product_sku_id": "S", "amount": "Ada", "qty": 1}]}, "products[0].amount: "),
        ({"total_amount": "Ada"}, "total_amount: Input should be"),
        ({"name": ["Ada"]}, "name: Input should be"),
    ],
)
def test_the_reason_of_a_letter_quotes_nothing_of_the_record(value: dict[str, Any], told: str) -> None:
    written = replace(record(an_order(), 0), value=json.dumps({**an_order(), **value}).encode())
    rejected = decode(written)
    assert isinstance(rejected, Rejected)
    assert rejected.reason.startswith(told)
    assert "Ada" not in rejected.reason


def test_requests_are_told_apart_by_their_ids_alone() -> None:
    """Another writer need not name the request in any other header."""
    items = [record(an_order("a"), n, request=n, index=n) for n in range(3)]
    batch = batch_of([replace(item, headers=without(item.headers, "kafka_cor")) for item in items])
    assert [run.context.request_id.int for run in batch.runs if run.context] == [0, 1, 2]


def rows_after(records: list[Record]) -> dict[OrderKey, RowState]:
    batch = batch_of(records)
    return {key: row_state(batch.columns, position) for key, position in fold(batch, {}).changed.items()}


def told(batch: Batch, rows: dict[OrderKey, RowState], letters: dict[OrderKey, int]) -> Any:
    """Everything that is decided about a batch."""
    classified = classify(batch, {}, {})
    fresh = classified.fresh
    folded = fold(fresh, rows, letters)
    changed = {key: batch.columns.event(position) for key, position in folded.changed.items()}
    repeats = [item.record for item in classified.repeats.items]
    parts = request_parts(fresh, folded.outcomes)
    return folded.outcomes, changed, folded.rejected, folded.letters, parts, repeats, classified.conflicts


def test_the_events_of_a_request_share_their_context_and_their_headers() -> None:
    records = [record(an_order("a"), offset, index=offset) for offset in range(20)]
    batch = batch_of(records)
    (run,) = batch.runs
    assert run.positions == range(20)
    assert batch.columns.objects == {}
    assert len(set(map(id, batch.columns.shared))) < 5  # once for each piece that was decoded


def test_what_is_remembered_of_requests_is_bounded_and_its_loss_changes_nothing() -> None:
    decoder, columns = Decoder(), Columns()
    records = [record(an_order("a"), n, request=1 + n % (REQUESTS_MAX + 1)) for n in range(REQUESTS_MAX + 3)]
    decode_all(decoder, records, columns)
    assert len(decoder._known) <= REQUESTS_MAX
    assert [columns.decoded(position) for position in range(len(columns))] == [identify(item) for item in records]


def test_the_texts_of_an_order_are_read_once() -> None:
    batch = batch_of([record(an_order("a"), 0)], orders=True)
    assert isinstance(batch.columns.event(0), Event)
    assert batch.columns.objects == {}
    assert partition_of(b"a", 12) == batch.columns.partitions[0]
