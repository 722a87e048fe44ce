"""A letter fits, whatever is in the event."""

from dataclasses import replace
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.record import Record, Rejected, Stage
from consumer.letters.fitting import LEFT_OUT_PREFIX, LeftOut, size_of
from consumer.letters.letter import (
    SMALL_LETTER_BYTES_MAX,
    WHOLE_LETTER_BYTES_MAX,
    dead_letter,
    read_letter,
)
from consumer.letters.redrive import redriven
from contracts.event import Headers, read_headers
from contracts.headers import EVENT
from contracts.partitioner import partition_of
from contracts.topics import Topics
from support.installation import headers_of

LARGE = b"x" * 3_000_000
TIME_MS = 1_790_000_000_000


def rejected(key: bytes | None, value: bytes | None, headers: Headers, reason: str = "why") -> Rejected:
    return Rejected(Record(3, 7, TIME_MS, key, value, headers), None, 0, Stage.VALUE_CONVERTER, "RecordError", reason)


BYTES = st.none() | st.binary(max_size=50) | st.sampled_from([b"", b"y" * 20_000, b"z" * 70_000])
HEADERS = st.lists(
    st.tuples(
        st.sampled_from([*(header.name for header in EVENT), "foreign", "n" * 40_000, f"{LEFT_OUT_PREFIX}value_bytes"]),
        BYTES,
    ),
    max_size=30,
)


@given(BYTES, BYTES, HEADERS, st.sampled_from(["", "😀" * 5000]), st.booleans())
def test_every_letter_fits(key: bytes | None, value: bytes | None, headers: Headers, reason: str, dated: bool) -> None:
    for bytes_max in (SMALL_LETTER_BYTES_MAX, 3 * SMALL_LETTER_BYTES_MAX):
        sent = dead_letter(rejected(key, value, headers, reason), Topics(), bytes_max, dated=dated)
        assert size_of(sent.key, sent.value, sent.headers) <= bytes_max
        letter = read_letter(Record(1, 2, 5, sent.key, sent.value, sent.headers))
        assert letter is not None
        assert (letter.partition, letter.offset, letter.time_ms) == (3, 7, 5 if dated else TIME_MS)
        assert (sent.key, sent.partition) == (key, None) or sent.partition == partition_of(key or b"", 12)
        if "value" in letter.left_out:
            assert letter.left_out["value"] == LeftOut(len(value or b""), sha256(value or b"").hexdigest())
        else:
            assert sent.value == value
        event = Record(3, 7, TIME_MS, key, value, headers)
        assert letter.is_about(event)
        assert letter.is_of(event)
        assert not letter.is_about(replace(event, headers=[*headers, ("ce_id", b"another")]))


@pytest.mark.parametrize("bytes_max", [SMALL_LETTER_BYTES_MAX, WHOLE_LETTER_BYTES_MAX])
@pytest.mark.parametrize(
    "headers", [[], [("ce_id", b"i" * 40_000)], [("ce_id", b"i" * 1025), ("foreign", b"x" * 40_000)]]
)
def test_a_letter_without_an_id_is_about_no_event_but_its_own(headers: Headers, bytes_max: int) -> None:
    """Kafka lost the event, and another one took its offset: a replay would not apply it."""
    event = Record(3, 7, TIME_MS, b"k", LARGE, headers)
    sent = dead_letter(rejected(event.key, event.value, headers), Topics(), bytes_max)
    letter = read_letter(Record(1, 2, 5, sent.key, sent.value, sent.headers))
    assert letter is not None
    assert letter.left_out
    assert letter.is_about(event)
    others: list[dict[str, Any]] = [{"value": b"x"}, {"value": None}, {"key": None}, {"headers": headers_of("p")}]
    for other in others:
        seen_by_id = bytes_max == WHOLE_LETTER_BYTES_MAX and headers and "headers" not in other
        assert letter.is_about(replace(event, **other)) == bool(seen_by_id)


def test_the_time_of_a_letter_is_its_own() -> None:
    sent = dead_letter(rejected(b"k", b"v", [("orders_letter_time", b"1")]), Topics())
    letter = read_letter(Record(1, 2, TIME_MS, sent.key, sent.value, sent.headers))
    assert letter is not None
    assert letter.time_ms == TIME_MS


def test_what_fits_is_whole() -> None:
    sent = dead_letter(rejected(b"k", b"v", [("foreign", b"\xff"), ("foreign", None)]), Topics())
    assert (sent.key, sent.value, sent.headers[:2]) == (b"k", b"v", [("foreign", b"\xff"), ("foreign", None)])
    assert sent.time_ms == TIME_MS


def test_the_headers_go_before_a_value_that_has_room_without_them() -> None:
    sent = dead_letter(rejected(b"k", b"v", [*headers_of("p"), ("foreign", LARGE)]), Topics())
    assert sent.value == b"v"
    context, _ = read_headers(sent.headers)
    assert context.partner_id == "p"
    letter = read_letter(Record(1, 2, 5, sent.key, sent.value, sent.headers))
    assert letter is not None
    assert letter.left_out.keys() == {"headers"}
    assert letter.partner_id == "p"


def test_an_event_that_is_redriven_has_nothing_of_the_letter() -> None:
    sent = dead_letter(rejected(b"k", LARGE, headers_of("p")), Topics(), dated=False)
    letter = read_letter(Record(1, 2, 5, sent.key, sent.value, sent.headers))
    assert letter is not None
    whole = letter.with_event(Record(3, 7, TIME_MS, b"k", LARGE, sent.headers))
    again = redriven(whole, Topics(), lambda: UUID(int=1))
    assert again.value == LARGE
    assert not [name for name, _ in again.headers if name.startswith("orders_letter")]
    context, _ = read_headers(again.headers)
    assert context.origin is not None
    assert context.origin.time.timestamp() * 1000 == TIME_MS


@pytest.mark.parametrize("digits", [b"9" * 5000, b"-1", b"", "٣".encode(), b"1" * 19])
def test_a_foreign_record_with_a_number_that_is_none_is_no_letter(digits: bytes) -> None:
    """Python refuses to read a number of 5000 digits: one foreign record ended every command."""
    headers = [("__connect.errors.partition", b"1"), ("__connect.errors.offset", digits)]
    assert read_letter(Record(1, 2, 5, b"k", b"v", headers)) is None


def test_a_letter_knows_its_event_by_what_was_left_out() -> None:
    """The offset may have another event now, and an event without ce_id is known by nothing else."""
    for headers in (headers_of("p"), [("foreign", b"x" * 40_000)]):
        event = Record(3, 7, TIME_MS, b"k" * 40_000, LARGE, headers)
        sent = dead_letter(rejected(event.key, event.value, headers), Topics(), SMALL_LETTER_BYTES_MAX)
        letter = read_letter(Record(1, 2, 5, sent.key, sent.value, sent.headers))
        assert letter is not None
        assert letter.left_out.keys() >= {"value", "key"}
        assert letter.is_of(event)
        others: list[dict[str, Any]] = [{"value": b"x"}, {"key": b"k"}, {"headers": [*headers, ("more", b"")]}]
        for other in others:
            assert letter.is_of(replace(event, **other)) == (other.keys() <= {"headers"} - letter.left_out.keys())
        assert letter.is_of_order("k" * 40_000)
        assert not letter.is_of_order("k")
