"""Records of orders.halts: why the consumers cannot apply the events of a partition.

The topic is compacted: the key is the partition's number, and a record without a value lifts the halt. A consumer
writes a halt before it ends; every ingress reads it and answers 503 until it is lifted.
"""

import json
from dataclasses import dataclass
from datetime import datetime

from contracts.errors import OrdersError


class HaltRecordError(OrdersError):
    """A record of orders.halts that is not a halt. The reader skips it, with a warning."""


@dataclass(frozen=True, slots=True)
class Halt:
    """`reason` is one sentence for operators; partners do not see it."""

    partition: int
    reason: str
    since: datetime


def halt_key(partition: int) -> bytes:
    return str(partition).encode()


def encode_halt(halt: Halt) -> bytes:
    return json.dumps({"reason": halt.reason, "since": halt.since.isoformat()}).encode()


def decode_halt(key: bytes | None, value: bytes | None) -> tuple[int, Halt | None]:
    """The partition, and its halt; None if the halt is lifted. Raises HaltRecordError."""
    try:
        partition = int((key or b"").decode())
        if value is None:
            return partition, None
        content = json.loads(value)
        return partition, Halt(partition, str(content["reason"]), datetime.fromisoformat(content["since"]))
    except (ValueError, TypeError, KeyError) as error:
        raise HaltRecordError(f"a record of the halts cannot be read: {type(error).__name__}") from None
