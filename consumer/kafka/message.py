"""Messages of the client library: taken from a consumer, and read as records of ours."""

from collections.abc import Iterable, Sequence
from operator import methodcaller
from typing import cast

from confluent_kafka import Consumer, Message

from consumer.core.record import Record
from consumer.core.records import Records
from contracts.event import UNREADABLE, Headers

TIME_MS_MAX = 253_402_300_799_999
"""The last millisecond of the year 9999, the last one that a date can have."""
_UNREADABLE: Headers = ((UNREADABLE, None),)
_read_headers = methodcaller("headers")

Taken = Message | Record
"""What was taken from a partition. A record stands for a message that cannot be read."""


def take_messages(consumer: Consumer, messages_max: int, timeout_s: float) -> list[Message]:
    """What has arrived, at most `messages_max`. Waits up to `timeout_s` for the first message, and for no other.

    `consume` alone would wait until it has as many messages as it may return.
    """
    first = consumer.poll(timeout_s)
    return [] if first is None else [first, *consumer.consume(messages_max - 1, 0)]


def record_of(message: Message) -> Record:
    """The record in a message that is not an error."""
    partition, offset = message.partition(), message.offset()
    assert partition is not None
    assert offset is not None
    _, time_ms = message.timestamp()
    if not 0 <= time_ms <= TIME_MS_MAX:  # written before the topic took the broker's time: anything may stand there
        time_ms = 0
    return Record(partition, offset, time_ms, message.key(), message.value(), _headers(message), message.leader_epoch())


def place_of(taken: Taken) -> tuple[int, int, int | None]:
    """Partition, offset and leader epoch."""
    if isinstance(taken, Record):
        return taken.partition, taken.offset, taken.leader_epoch
    partition, offset = taken.partition(), taken.offset()
    assert partition is not None
    assert offset is not None
    return partition, offset, taken.leader_epoch()


def records_of(taken: Sequence[Taken]) -> Records:
    """The same for many messages at once, which may have records among them."""
    messages = cast(Sequence[Message], taken)
    try:
        return Records(
            partitions=cast(list[int], list(map(Message.partition, messages))),
            offsets=cast(list[int], list(map(Message.offset, messages))),
            times_ms=[time_ms if 0 <= time_ms <= TIME_MS_MAX else 0 for _, time_ms in map(Message.timestamp, messages)],
            keys=list(map(Message.key, messages)),
            values=list(map(Message.value, messages)),
            headers=_all_headers(messages),
            leader_epochs=list(map(Message.leader_epoch, messages)),
        )
    except TypeError:  # a record is among them
        return Records.of(item if isinstance(item, Record) else record_of(item) for item in taken)


def _all_headers(messages: Iterable[Message]) -> list[Headers]:
    """As `_headers`, for each message. `map` always checks, too."""
    found: list[Headers | None] = []
    left = iter(messages)
    while True:
        try:
            found.extend(map(_read_headers, left))
            return [headers or () for headers in found]
        except (SystemError, UnicodeDecodeError):
            found.append(_UNREADABLE)


def _headers(message: Message) -> Headers:
    """The headers of a message; only UNREADABLE if a name is not UTF-8.

    For such a name the client library returns a broken list and leaves an exception set. CPython checks for that after
    an ordinary call, but not in code that it has specialised. A methodcaller always checks.
    """
    try:
        return _read_headers(message) or ()
    except (SystemError, UnicodeDecodeError):
        return _UNREADABLE  # decoding rejects it, so the record becomes a dead letter
