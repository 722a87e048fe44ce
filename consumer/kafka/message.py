"""Messages of the client library: taken from a consumer, and read as records of ours."""

from operator import methodcaller

from confluent_kafka import Consumer, Message

from consumer.core.record import Record
from contracts.event import UNREADABLE, Headers

TIME_MS_MAX = 253_402_300_799_999
"""The last millisecond of the year 9999, the last one that a date can have."""
_read_headers = methodcaller("headers")


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


def _headers(message: Message) -> Headers:
    """The headers of a message; only UNREADABLE if a name is not UTF-8.

    For such a name the client library returns a broken list and leaves an exception set. CPython checks for that after
    an ordinary call, but not in code that it has specialised. A methodcaller always checks.
    """
    try:
        return _read_headers(message) or ()
    except (SystemError, UnicodeDecodeError):
        return ((UNREADABLE, None),)  # decoding rejects it, so the record becomes a dead letter
