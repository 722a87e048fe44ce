"""Whether a topic is still the log that the tables were filled from, as far as its id and its offsets tell. Pure.

The consumer knows its log by a hash too (`consumer/kafka/log_check.py`). An ingress has what this file needs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

CLOSED = -1
"""next_offset while the tables are reseeded: no batch begins at or below it."""

ADVICE = (
    "Nothing more is applied, and the tables stay as they are. Find out what happened to Kafka. To go on with the log "
    "as it is now, stop all consumers and run: orders reseed"
)


@dataclass(frozen=True, slots=True)
class AppliedLog:
    """What the tables say: the topic that they were filled from, and the fence of each partition."""

    topic: str
    topic_id: str
    next_offsets: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class FoundLog:
    """What a broker says: the topic's id, and by partition its first offset and its end."""

    topic: str
    topic_id: str
    bounds: Mapping[int, tuple[int, int]]


def are_told(offsets: Iterable[int]) -> bool:
    """Whether a broker told all of these. In an outage, the client's `list_offsets` may give -1001 and no error."""
    return all(offset >= 0 for offset in offsets)


def what_differs(applied: AppliedLog, found: FoundLog) -> str:
    """Why no event of the log that was found can be applied to the tables; empty if nothing is wrong."""
    if CLOSED in applied.next_offsets.values():
        return "The tables are being reseeded."
    if text := another_topic((applied.topic, applied.topic_id), (found.topic, found.topic_id)):
        return text
    missing = sorted(found.bounds.keys() - applied.next_offsets.keys())
    if missing:
        return (
            f"The table consumer_partition has no row of the partitions {missing}: somebody removed them. To find the "
            "fence again from the orders and the ledger, run: orders setup"
        )
    texts = (
        not_inside(found.topic, partition, applied.next_offsets[partition], first, end)
        for partition, (first, end) in found.bounds.items()
    )
    return next(filter(None, texts), "")


def another_topic(known: tuple[str, str], now: tuple[str, str]) -> str:
    """Both are (topic, topic id). Empty if they are equal."""
    if known == now:
        return ""
    return (
        f"These tables were filled from the topic {known[0]} with the id {known[1]}, and the topic {now[0]} has "
        f"the id {now[1]}: the topic was deleted and created again, or ORDERS_KAFKA_BOOTSTRAP, ORDERS_TOPIC_PREFIX "
        f"or ORDERS_POSTGRES_URL belongs to another installation. {ADVICE}"
    )


def not_inside(topic: str, partition: int, next_offset: int, first: int, end: int) -> str:
    """Empty if the fence lies inside the log."""
    if end < next_offset:
        return (
            f"Partition {partition} of {topic} ends at offset {end}, and events up to offset {next_offset - 1} were "
            f"applied: Kafka lost the {next_offset - end} records from offset {end} on, or was put back to an older "
            f"state. {ADVICE}"
        )
    if first > next_offset:
        return (
            f"Partition {partition} of {topic} begins at offset {first}, and only events below offset {next_offset} "
            f"were applied: the {first - next_offset} records from offset {next_offset} on were removed before they "
            f"were applied (retention.ms and retention.bytes must be -1). {ADVICE}"
        )
    return ""


def what_was_lost(seen: FoundLog, found: FoundLog) -> str:
    """What an earlier look saw and this one does not: the topic, or the end of a partition. Empty if nothing."""
    if seen.topic_id != found.topic_id:
        return (
            f"The topic {found.topic} was deleted and created again: it had the id {seen.topic_id} and has "
            f"{found.topic_id}. Its events are lost."
        )
    for partition, (_, end) in found.bounds.items():
        was = seen.bounds.get(partition, (0, 0))[1]
        if end < was:
            return (
                f"Partition {partition} of {found.topic} ended at offset {was} and ends at offset {end} now: Kafka "
                "lost records, or was put back to an older state. Orders in them are lost that were not applied before."
            )
    return ""
