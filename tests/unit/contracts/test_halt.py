"""Records of orders.halts, as a consumer writes them and an ingress reads them."""

from datetime import UTC, datetime

import pytest

from contracts.halt import Halt, HaltRecordError, decode_halt, encode_halt, halt_key

HALT = Halt(3, "Partition 3 lost its end.", datetime(2026, 11, 27, 12, 0, tzinfo=UTC))


def test_what_is_written_is_read() -> None:
    assert decode_halt(halt_key(3), encode_halt(HALT)) == (3, HALT)


def test_a_record_without_a_value_lifts_the_halt() -> None:
    assert decode_halt(halt_key(3), None) == (3, None)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, None),
        (b"", None),
        (b"three", None),
        (b"\xff", None),
        (b"3", b""),
        (b"3", b"[]"),
        (b"3", b"{}"),
        (b"3", b'{"reason": "x", "since": "yesterday"}'),
        (b"3", b'{"reason": "x", "since": 7}'),
    ],
)
def test_what_is_not_a_halt_is_said_so(key: bytes | None, value: bytes | None) -> None:
    with pytest.raises(HaltRecordError):
        decode_halt(key, value)
