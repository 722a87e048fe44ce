"""Dead letters: the record as it was, and why it could not be applied, in Kafka Connect's headers (KIP-298)."""

from consumer.producer import Outgoing
from consumer.record import Rejected
from contracts.topics import Topics

CONNECTOR_NAME = "order-upsert"
PREFIX = "__connect.errors."
_REASON_CHARS_MAX = 2000


def dead_letter(rejected: Rejected, topics: Topics) -> Outgoing:
    """Its time is that of the event, so that a letter can be redriven with it."""
    record = rejected.record
    reason = {
        "topic": topics.upserts,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "connector.name": CONNECTOR_NAME,
        "stage": rejected.stage,
        "exception.class.name": rejected.error,
        "exception.message": rejected.reason[:_REASON_CHARS_MAX],
    }
    # A letter that was redriven and came back has reasons of before: the newest one counts.
    original = [(name, value) for name, value in record.headers if not name.startswith(PREFIX)]
    headers = [*original, *((PREFIX + name, text.encode()) for name, text in reason.items())]
    return Outgoing(topics.dlq, record.key, record.value, headers, time_ms=rejected.time_ms)
