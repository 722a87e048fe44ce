"""Builds the event that brings a dead letter back to orders.upserts. Pure: no client library, no clock."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from consumer.core.record import Outgoing, Record
from consumer.letters.letter import OF_THE_LETTER, Letter
from contracts.event import ORIGIN_HEADERS, Headers, Origin, RecordError, read_headers
from contracts.headers import (
    CORRELATION_ID,
    ID,
    REPLY_PARTITION,
    REPLY_TOPIC,
    REQUEST_DIGEST,
    REQUEST_INVALID,
    REQUEST_SIZE,
)
from contracts.topics import Topics

_OF_THE_REQUEST = {
    header.name
    for header in (ID, REQUEST_SIZE, REQUEST_INVALID, REQUEST_DIGEST, CORRELATION_ID, REPLY_TOPIC, REPLY_PARTITION)
}


def redriven(letter: Letter, topics: Topics, new_request_id: Callable[[], UUID]) -> Outgoing:
    """The same event, byte for byte, as a request of its own: the answer to its first request stands.

    Its headers name its origin, the partition and offset where it was first. So it takes that place among the events of
    its order, now and in a replay. An event that is redriven a second time keeps its first origin.
    """
    return as_request_of_its_own(letter.record, topics, new_request_id(), _origin(letter).headers())


def as_request_of_its_own(
    record: Record, topics: Topics, request_id: UUID, origin: Headers = (), partition: int | None = None
) -> Outgoing:
    """The event again, byte for byte, as a request of one order that nobody waits for.

    `origin`: headers that name another place for it. Without a `partition`, the key selects one.
    """
    kept = [
        (name, value)
        for name, value in record.headers
        if name not in _OF_THE_REQUEST and name not in ORIGIN_HEADERS and not name.startswith(OF_THE_LETTER)
    ]
    own = {
        ID.name: f"{request_id}/0",
        REQUEST_SIZE.name: "1",
    }
    headers = [*((name, text.encode()) for name, text in own.items()), *kept, *origin]
    return Outgoing(topics.upserts, record.key, record.value, headers, partition)


def _origin(letter: Letter) -> Origin:
    try:
        known = read_headers(letter.record.headers)[0].origin
    except RecordError:  # the consumer will reject it again
        known = None
    time = datetime.fromtimestamp(letter.time_ms / 1000, UTC)
    return known or Origin(letter.partition, letter.offset, time)
