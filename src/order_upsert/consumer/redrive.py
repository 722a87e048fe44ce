"""A dead letter on its way back to orders.upserts. Pure: no client library, no clock."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from order_upsert.consumer.dlq import PREFIX
from order_upsert.consumer.letters import Letter
from order_upsert.consumer.producer import Outgoing
from order_upsert.contracts.record import CORRELATION_HEADER, ORIGIN_HEADERS, Origin, RecordError, read_headers
from order_upsert.contracts.topics import Topics

_OF_THE_REQUEST = {
    "ce_id",
    "ce_requestsize",
    "ce_requestinvalid",
    "ce_requestdigest",
    CORRELATION_HEADER,
    "kafka_replyTopic",
    "kafka_replyPartition",
}


def redriven(letter: Letter, topics: Topics, new_request_id: Callable[[], UUID]) -> Outgoing:
    """The event again, byte for byte, as a request of its own: its first one was answered, and that answer stands.

    Its headers name where it stood first, so that it takes its place among the events of its order, now and in a
    replay. One that was redriven before keeps the place that it had at the very first.
    """
    request_id = new_request_id()
    kept = [
        (name, value)
        for name, value in letter.record.headers
        if name not in _OF_THE_REQUEST and name not in ORIGIN_HEADERS and not name.startswith(PREFIX)
    ]
    own = {
        "ce_id": f"{request_id}/0",
        "ce_requestsize": "1",
        "ce_requestinvalid": "0",
        CORRELATION_HEADER: str(request_id),
    }
    headers = [*((name, text.encode()) for name, text in own.items()), *kept, *_origin(letter).headers()]
    return Outgoing(topics.upserts, letter.record.key, letter.record.value, headers)


def _origin(letter: Letter) -> Origin:
    try:
        known = read_headers(letter.record.headers)[0].origin
    except RecordError:  # it comes back as a letter
        known = None
    time = datetime.fromtimestamp(letter.record.time_ms / 1000, UTC)
    return known or Origin(letter.partition, letter.offset, time)
