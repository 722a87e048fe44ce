"""Reads the body of a request, from what arrives to the bytes that should be JSON."""

import asyncio
import zlib
from collections.abc import Iterator

from starlette.requests import Request

from contracts.strict_json import Violation
from ingress import bad_requests
from ingress.admission import Held
from ingress.connections import PROGRESS_BYTES, PROGRESS_S
from ingress.errors import BodyTimeoutError, BodyTooLargeError, UnsupportedEncodingError

BODY_BYTES_MAX = 4 * 1024 * 1024
"""Of a body as it arrives, and of what it unpacks to."""
GZIP_MEMBERS_MAX = 1_000
"""A body can be packed in parts. An empty part costs far more than its bytes."""

_PIECE_BYTES = 64 * 1024
_GZIP = zlib.MAX_WBITS + 16


async def read_body(request: Request, held: Held, timeout_s: float) -> bytes:
    """The bytes, unpacked and counted as they arrive: all of them within `timeout_s`, and PROGRESS_BYTES in each
    PROGRESS_S, as they are sent.

    Raises UnsupportedEncodingError, BodyTooLargeError, BodyTimeoutError, UnavailableError, PartnerShareError, and
    Violation for broken gzip.
    """
    encodings = request.headers.getlist("content-encoding")
    unpacker = Unpacker() if encodings and _is_gzip(encodings) else None
    content_length = request.headers.get("content-length", "")
    if content_length.isdecimal() and int(content_length) > BODY_BYTES_MAX:
        raise BodyTooLargeError(BODY_BYTES_MAX)
    first_s = PROGRESS_S if timeout_s > PROGRESS_S else timeout_s
    pieces, size, sent, awaited = [], 0, 0, PROGRESS_BYTES
    try:
        async with asyncio.timeout(first_s) as limit:
            end_s = (limit.when() or 0.0) - first_s + timeout_s
            async for chunk in request.stream():
                sent += len(chunk)
                if sent >= awaited:
                    awaited = sent + PROGRESS_BYTES
                    limit.reschedule(min(end_s, asyncio.get_running_loop().time() + PROGRESS_S))
                for piece in (chunk,) if unpacker is None else unpacker.unpack(chunk):
                    size += len(piece)
                    if size > BODY_BYTES_MAX:
                        raise BodyTooLargeError(BODY_BYTES_MAX)
                    held.add_bytes(len(piece))
                    pieces.append(piece)
    except TimeoutError:
        raise BodyTimeoutError(timeout_s, PROGRESS_BYTES, PROGRESS_S) from None
    if unpacker is not None:
        unpacker.end()
    return b"".join(pieces)


class Unpacker:
    """Unpacks gzip piece by piece, however much a piece unpacks to."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._members = 1
        self._packed_bytes = 0

    def unpack(self, packed: bytes) -> Iterator[bytes]:
        """Pieces of at most 64 KiB. Raises Violation or BodyTooLargeError."""
        self._packed_bytes += len(packed)
        if self._packed_bytes > BODY_BYTES_MAX:
            raise BodyTooLargeError(BODY_BYTES_MAX)
        for start in range(0, len(packed), _PIECE_BYTES):
            rest = packed[start : start + _PIECE_BYTES]
            while rest:
                if self._member.eof:
                    self._begin_member()
                try:
                    yield self._member.decompress(rest, _PIECE_BYTES)
                except zlib.error as error:
                    raise Violation("", bad_requests.BROKEN_GZIP.said(error=error)) from None
                rest = self._member.unconsumed_tail or self._member.unused_data

    def end(self) -> None:
        """Raises Violation if something is missing."""
        if not self._member.eof:
            raise Violation("", bad_requests.CUT_OFF_GZIP.said())

    def _begin_member(self) -> None:
        self._members += 1
        if self._members > GZIP_MEMBERS_MAX:
            raise Violation("", bad_requests.TOO_MANY_MEMBERS.said(members_max=GZIP_MEMBERS_MAX))
        self._member = zlib.decompressobj(_GZIP)


def _is_gzip(headers: list[str]) -> bool:
    """`headers`: the values of all headers Content-Encoding. Raises UnsupportedEncodingError."""
    encodings = [encoding.strip().lower() for encoding in ",".join(headers).split(",")]
    match [encoding for encoding in encodings if encoding not in ("", "identity")]:
        case []:
            return False
        case ["gzip" | "x-gzip"]:
            return True
    raise UnsupportedEncodingError
