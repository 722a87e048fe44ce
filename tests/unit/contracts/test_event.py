"""Records on the wire: the headers of events, results, partners, and the partition of a key."""

import json
from datetime import UTC, datetime
from itertools import cycle
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.event import (
    HeaderWriter,
    RecordError,
    ReplyTo,
    RequestContext,
    is_traceparent,
    read_headers,
)
from contracts.partitioner import LANES_MIN, _murmur2, partition_of, partitions_of
from contracts.partner import (
    TOKENS_PER_PARTNER_MAX,
    Partner,
    PartnerRecordError,
    decode_partner,
    key_id_of,
    new_token,
    token_sha256,
)
from contracts.result import (
    Outcome,
    Outcomes,
    Result,
    ResultError,
    decode_results,
    encode_outcomes,
    encode_result,
    encode_results,
    outcomes_of,
)

ID = UUID("0192abcd-0000-7000-8000-000000000001")
NOW = datetime(2026, 11, 24, 12, 0, 0, 123456, UTC)
TRACEPARENT = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


ALWAYS: list[tuple[str, bytes]] = [
    ("ce_id", f"{ID}/2".encode()),
    ("ce_specversion", b"1.0"),
    ("ce_source", b"/partners/acme"),
    ("ce_type", b"integration.orders.upsert.v1"),
    ("ce_requestsize", b"3"),
]


def test_an_event_has_the_headers_that_say_something_and_its_id_first() -> None:
    own = RequestContext(ID, "acme", 3, 0, ReplyTo(None, 258))
    assert HeaderWriter(own).headers(2) == [*ALWAYS, ("kafka_replyPartition", b"\x00\x00\x01\x02")]
    assert HeaderWriter(RequestContext(ID, "acme", 3, 0)).headers(2) == ALWAYS
    full = RequestContext(ID, "acme", 3, 1, ReplyTo("shop.outcomes", 258), TRACEPARENT, "d" * 32)
    assert HeaderWriter(full).headers(2) == [
        *ALWAYS,
        ("ce_requestinvalid", b"1"),
        ("ce_requestdigest", b"d" * 32),
        ("traceparent", TRACEPARENT.encode()),
        ("kafka_replyTopic", b"shop.outcomes"),
        ("kafka_replyPartition", b"\x00\x00\x01\x02"),
    ]


TOPIC_NAMES = st.from_regex(r"[a-zA-Z0-9._-]{1,9}", fullmatch=True)
PARTITIONS = st.integers(0, 2**31 - 1)


@given(
    st.uuids(), st.integers(0, 999), st.from_regex(r"[a-z0-9][a-z0-9-]{0,63}", fullmatch=True),
    st.integers(0, 1000), st.integers(0, 1000),
    st.none() | st.builds(ReplyTo, TOPIC_NAMES, st.none() | PARTITIONS) | st.builds(ReplyTo, st.none(), PARTITIONS),
)  # fmt: skip
def test_what_is_written_is_read(
    request_id: UUID, index: int, partner_id: str, size: int, invalid: int, reply_to: ReplyTo | None
) -> None:
    context = RequestContext(request_id, partner_id, size, invalid, reply_to)
    read, read_index = read_headers(HeaderWriter(context).headers(index))  # type: ignore[arg-type]
    assert (read.request_id, read_index, read.partner_id) == (request_id, index, partner_id)
    assert (read.time, read.size, read.invalid or 0, read.reply_to) == (None, size, invalid, reply_to)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ce_specversion", b"0.3"), ("ce_type", b"other"),
        ("ce_type", b"integration.orders.upsert.v2"), ("ce_id", b"x/1"), ("ce_id", f"{ID}/1000".encode()),
        ("ce_id", f"{ID}/-1".encode()), ("ce_id", f"{ID}".upper().encode() + b"/1"), ("ce_id", f"{ID}/01".encode()),
        ("ce_source", b"acme"), ("ce_source", b"/partners/"), ("ce_source", b"/partners/A B"), ("ce_source", b"\xff"),
        ("ce_time", b"yesterday"), ("ce_time", b"2026-11-24T12:00:00"), ("ce_requestsize", b"1001"),
        ("ce_requestsize", b"-1"), ("ce_requestinvalid", "\u0663".encode()), ("kafka_replyPartition", b"\x01"),
        ("kafka_replyPartition", b"\xff\xff\xff\xff"), ("ce_specversion", None), ("ce_id", None), ("ce_source", None),
        ("ce_type", None),
    ],
)  # fmt: skip
def test_a_header_that_is_wrong_is_named(name: str, value: bytes | None) -> None:
    context = RequestContext(ID, "acme", 3, 1, ReplyTo("orders.results", 1))
    headers = {**dict(HeaderWriter(context).headers(2)), name: value}
    with pytest.raises(RecordError, match=name):
        read_headers(list(headers.items()))  # type: ignore[arg-type]


@pytest.mark.parametrize("partition", [b"", b"\x01", b"12", b"\xff\xff\xff\xff"])
def test_a_wrong_reply_partition_without_its_topic_asks_for_no_reply(partition: bytes) -> None:
    headers = HeaderWriter(RequestContext(ID, "acme", 3, 1)).headers(0)
    read, _ = read_headers([*headers, ("kafka_replyPartition", partition)])  # type: ignore[list-item]
    assert read.reply_to is None


def test_optional_headers_may_be_missing() -> None:
    headers = HeaderWriter(RequestContext(ID, "acme", 3, 1)).headers(0)
    optional = ("ce_requestsize", "ce_requestinvalid")
    read, _ = read_headers([(name, value) for name, value in headers if name not in optional])  # type: ignore[misc]
    assert (read.time, read.size, read.invalid, read.reply_to) == (None, None, None, None)
    with pytest.raises(RecordError, match="ce_specversion is missing"):
        read_headers(None)


def test_times_are_read_in_utc() -> None:
    headers: Any = HeaderWriter(RequestContext(ID, "acme", 1, 0)).headers(0)
    read, _ = read_headers([*headers, ("ce_time", b"2026-11-24T17:00:00.123456+05:00")])
    assert read.time == NOW


def test_only_a_w3c_traceparent_is_passed_on() -> None:
    assert is_traceparent(TRACEPARENT)
    for text in ("", "x", TRACEPARENT + "\r\nevil: 1", TRACEPARENT.upper()):
        assert not is_traceparent(text)


def test_a_result_is_written_as_documented() -> None:
    outcomes = outcomes_of([(0, Outcome.INSERTED), (1, Outcome.UNCHANGED), (2, Outcome.INVALID), (3, Outcome.INSERTED)])
    written = encode_result(ID, encode_outcomes(outcomes))
    assert json.loads(written) == {
        "request_id": str(ID),
        "outcomes": {"inserted": [0, 3], "updated": [], "unchanged": [1], "invalid": [2], "stale": []},
    }
    assert [result.outcomes for result in decode_results(written)] == [outcomes]


OUTCOMES = st.lists(st.sampled_from(Outcome), max_size=5).map(lambda found: outcomes_of(enumerate(found)))
RESULTS = st.tuples(st.uuids(), OUTCOMES, st.none() | st.just("d" * 32), st.booleans(), st.booleans())


@given(st.lists(RESULTS, max_size=4))
def test_results_of_several_requests_are_read_as_one_by_one(
    results: list[tuple[UUID, Outcomes, str | None, bool, bool]],
) -> None:
    values = [
        encode_result(request_id, encode_outcomes(outcomes), digest=digest, conflict=conflict, stored=stored)
        for request_id, outcomes, digest, conflict, stored in results
    ]
    expected = [
        Result(str(request_id), outcomes, digest, conflict, stored)
        for request_id, outcomes, digest, conflict, stored in results
    ]
    assert decode_results(encode_results(values)) == expected
    assert [found for value in values for found in decode_results(value)] == expected


@pytest.mark.parametrize(
    "value",
    [
        None, b"", b"x", b"[]", b"1", b"{}", b'{"request_id": 1, "outcomes": {}}',
        f'{{"request_id": "{ID}", "outcomes": {{}}}}'.encode(),
        f'{{"request_id": "{ID}", "outcomes": []}}'.encode(),
        encode_result(ID, encode_outcomes(outcomes_of([(1, Outcome.STALE)]))).replace(b"[1]", b"[1000]"),
        encode_result(ID, encode_outcomes(outcomes_of([(1, Outcome.STALE)]))).replace(b"[1]", b"[true]"),
        encode_result(ID, encode_outcomes(outcomes_of([(1, Outcome.STALE)]))).replace(b"[1]", b"[-1]"),
        b"[" * 100_000, b'{"results": {}}', b'{"results": [1]}', b'{"results": [{}]}', b'{"results": null}',
        b'"results"',
        encode_result(ID, encode_outcomes(outcomes_of([]))).replace(str(ID).encode(), str(ID).upper().encode()),
        encode_results([encode_result(ID, encode_outcomes(outcomes_of([]))), b"{}"]),
    ],
)  # fmt: skip
def test_what_is_not_a_result_is_refused(value: bytes | None) -> None:
    with pytest.raises(ResultError):
        decode_results(value)


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        # org.apache.kafka.common.utils.UtilsTest.testMurmur2
        ("21", -973932308), ("foobar", -790332482), ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971), ("abc", 479470107),
    ],
)  # fmt: skip
def test_murmur2_is_that_of_javas_client(key: str, hashed: int) -> None:
    assert _murmur2(key.encode()) == hashed % 2**32


@given(st.sets(st.binary(max_size=17)), st.integers(0, 17), st.integers(1, 100))
def test_keys_hashed_at_once_are_where_they_are_one_by_one(keys: set[bytes], size: int, partitions: int) -> None:
    alike = {bytes([number]) * size for number in range(4 * LANES_MIN)} | {b"\xff" * size}
    every = keys | alike
    assert partitions_of(every, partitions) == {key: partition_of(key, partitions) for key in every}


def a_token(seed: str = "aB3") -> str:
    characters = cycle(seed)
    return new_token(lambda _: next(characters))


def test_a_token_carries_its_key_id_and_a_checksum() -> None:
    token = a_token()
    assert token.startswith("ord_live_")
    assert len(token) == len("ord_live_") + 8 + 1 + 27 + 6
    assert key_id_of(token) == token[9:17]
    for position in range(9, len(token)):  # any mistyped character
        mistyped = token[:position] + ("x" if token[position] != "x" else "y") + token[position + 1 :]
        assert key_id_of(mistyped) == token_sha256(mistyped)[:8]


def test_a_partner_is_kept_without_its_tokens() -> None:
    token = a_token()
    partner = Partner(partner_id="acme", tokens=[], orders_per_s=5).with_token(token, NOW)
    assert token.encode() not in partner.encode()
    assert token_sha256(token).encode() in partner.encode()
    assert decode_partner(b"acme", partner.encode()) == partner


@pytest.mark.parametrize("value", [b"", b"{}", b'{"partner_id": "A", "tokens": []}', b"[1]"])
def test_what_is_not_a_partner_is_refused(value: bytes) -> None:
    with pytest.raises(PartnerRecordError):
        decode_partner(b"acme", value)


def test_an_error_quotes_nothing_of_a_bad_partner_record() -> None:
    for value in (
        b'{"partner_id": "acme", "tokens": ["SECRET"], "orders_per_s": "SECRET"}',
        b'{"partner_id": "SECRET SECRET", "note": "SECRET"}',
        b'{"partner_id": "acme", "tokens": [{"sha256": "SECRET", "status": "SECRET"}]}',
        b"SECRET",
    ):
        with pytest.raises(PartnerRecordError) as caught:
            decode_partner(b"SECRET", value)
        assert "SECRET" not in str(caught.value)
    with pytest.raises(PartnerRecordError, match="tokens: Field required"):
        decode_partner(b"acme", b'{"partner_id": "acme"}')


def test_a_partner_under_another_key_is_refused() -> None:
    with pytest.raises(PartnerRecordError, match="has another key than that"):
        decode_partner(b"other", Partner(partner_id="acme", tokens=[]).encode())


def test_revoked_tokens_are_forgotten_before_there_are_too_many() -> None:
    partner = Partner(partner_id="acme", tokens=[])
    for number in range(TOKENS_PER_PARTNER_MAX * 2):
        token = a_token(f"{number:02}")
        partner = partner.with_token(token, NOW).with_revoked(key_id_of(token))
    assert len(partner.tokens) == TOKENS_PER_PARTNER_MAX
    assert partner.active_tokens() == []
