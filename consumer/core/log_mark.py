"""By what a partition's log is known again: its last applied record. Pure: no client library, no clock.

Offsets mean something only within one log. Kafka may be put back to an older copy, lose its tail, or get the topic
anew: then other records stand at the same offsets. So the hash of the last applied record stands beside the fence.
"""

from hashlib import blake2b
from typing import NamedTuple

from consumer.core.record import Record

RECORD_HASH_BYTES = 16


class LogMark(NamedTuple):
    """The record before the fence. `leader_epoch` is None if the broker does not tell it."""

    leader_epoch: int | None
    record_hash: bytes


class Watermark(NamedTuple):
    """How far a partition was applied. `mark` is None if the record before `next_offset` is not known.

    `log_start`: from this offset on, the topic explains the tables; 0 unless the tables were reseeded.
    `answered_to`: all below it was answered; None if that is not known now.
    """

    next_offset: int
    mark: LogMark | None = None
    log_start: int = 0
    answered_to: int | None = None


def mark_of(record: Record) -> LogMark:
    return LogMark(record.leader_epoch, record_hash(record))


def record_hash(record: Record) -> bytes:
    """16 bytes over key, value and headers. Not over the time: a copy in another cluster has another one.

    `ascii` writes each of them so that no two records give the same text, whatever the version of Python.
    """
    text = ascii((record.key, record.value, [*record.headers]))
    return blake2b(text.encode(), digest_size=RECORD_HASH_BYTES).digest()
