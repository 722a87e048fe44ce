"""A message of the client library as a record of ours."""

from operator import methodcaller

from confluent_kafka import Message

from consumer.core.record import Record
from contracts.event import UNREADABLE, Headers

_read_headers = methodcaller("headers")


def record_of(message: Message) -> Record:
    """A message without an error."""
    partition, offset = message.partition(), message.offset()
    assert partition is not None
    assert offset is not None
    _, time_ms = message.timestamp()
    return Record(partition, offset, time_ms, message.key(), message.value(), _headers(message))


def _headers(message: Message) -> Headers:
    """For a name that is not UTF-8 the client library gives a broken list, and leaves an exception set behind.

    CPython looks for that after a call, but not in code that it has specialised: a methodcaller always looks.
    """
    try:
        return _read_headers(message) or ()
    except (SystemError, UnicodeDecodeError):
        return ((UNREADABLE, None),)  # the record is one for the dead letters
