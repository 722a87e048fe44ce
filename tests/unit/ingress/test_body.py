"""The body of a request as it arrives: its encoding, and how much it may be."""

import asyncio
import gzip
import zlib
from typing import Any

import pytest
from starlette.requests import Request

from contracts.strict_json import Violation
from ingress.admission import Admission
from ingress.body import BODY_BYTES_MAX, GZIP_MEMBERS_MAX, read_body
from ingress.errors import BodyTooLargeError, UnavailableError, UnsupportedEncodingError

TEXT = b'{"data": []}'
BYTES_IN_FLIGHT_MAX = 2 * BODY_BYTES_MAX


def read(*chunks: bytes, encodings: list[str], bytes_max: int = BYTES_IN_FLIGHT_MAX) -> bytes:
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b""})

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    headers = [(b"content-encoding", encoding.encode()) for encoding in encodings]
    request = Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)
    admission = Admission(orders_max=1, bytes_max=bytes_max)
    with admission.request() as held:
        body = asyncio.run(read_body(request, held, 60))
        assert held.bytes == len(body)
    return body


def halves(packed: bytes) -> list[bytes]:
    return [packed[: len(packed) // 2], packed[len(packed) // 2 :]]


@pytest.mark.parametrize("encodings", [[], [""], ["identity"], ["Identity, "]])
def test_a_body_without_an_encoding_is_taken_as_it_is(encodings: list[str]) -> None:
    assert read(*halves(TEXT), encodings=encodings) == TEXT


@pytest.mark.parametrize("encodings", [["gzip"], ["x-gzip"], ["GZIP"], ["identity", "gzip"]])
def test_gzip_is_read(encodings: list[str]) -> None:
    packed = gzip.compress(TEXT)
    assert read(packed, encodings=encodings) == TEXT
    assert read(*(packed[n : n + 1] for n in range(len(packed))), encodings=encodings) == TEXT


def test_gzip_may_have_several_members() -> None:
    packed = b"".join(gzip.compress(TEXT[n : n + 1]) for n in range(len(TEXT)))
    assert read(packed, encodings=["gzip"]) == TEXT
    assert read(*halves(packed), encodings=["gzip"]) == TEXT


@pytest.mark.parametrize("encodings", [["br"], ["deflate"], ["zstd"], ["gzip, gzip"], ["gzip", "br"], ["gzip;q=1"]])
def test_another_encoding_is_refused_and_gzip_is_offered(encodings: list[str]) -> None:
    with pytest.raises(UnsupportedEncodingError) as caught:
        read(encodings=encodings)
    assert (caught.value.status, caught.value.headers) == (415, {"Accept-Encoding": "gzip"})


PACKED = gzip.compress(TEXT)


@pytest.mark.parametrize(
    "packed",
    [b"", TEXT, PACKED[:-1], PACKED[:5], PACKED + b"x", PACKED + PACKED[:-1], PACKED[:-8] + b"\0" * 8,
     zlib.compress(TEXT)],
    ids=["empty", "plain", "cut off", "cut off early", "with a rest", "cut off later", "a wrong sum", "deflate"],
)  # fmt: skip
def test_broken_gzip_is_refused(packed: bytes) -> None:
    for chunks in ([packed], halves(packed)):
        with pytest.raises(Violation, match="gzip"):
            read(*chunks, encodings=["gzip"])


def test_a_body_of_the_largest_size_is_taken_packed_or_not() -> None:
    for size in (BODY_BYTES_MAX, BODY_BYTES_MAX + 1):
        body = b" " * size
        for chunks, encodings in ((halves(body), []), (halves(gzip.compress(body)), ["gzip"])):
            if size == BODY_BYTES_MAX:
                assert read(*chunks, encodings=encodings) == body
            else:
                with pytest.raises(BodyTooLargeError):
                    read(*chunks, encodings=encodings)


def test_a_bomb_ends_where_a_large_body_ends() -> None:
    """However much it would unpack to: nothing is unpacked that is not kept, and what is kept is counted."""
    bomb = gzip.compress(b"\0" * 20 * BODY_BYTES_MAX, compresslevel=1)
    with pytest.raises(BodyTooLargeError):
        read(bomb, encodings=["gzip"])
    with pytest.raises(UnavailableError):
        read(bomb, encodings=["gzip"], bytes_max=1_000_000)


def test_parts_without_contents_are_bounded() -> None:
    empty = gzip.compress(b"")
    assert read(empty * (GZIP_MEMBERS_MAX - 1) + PACKED, encodings=["gzip"]) == TEXT
    with pytest.raises(Violation, match="members"):
        read(empty * GZIP_MEMBERS_MAX + PACKED, encodings=["gzip"])
    with pytest.raises(BodyTooLargeError):
        read(*[b"\0" * BODY_BYTES_MAX, b"\0"], encodings=[])
