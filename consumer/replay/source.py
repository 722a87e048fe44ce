"""Whether the topic still has what a replay needs, and up to where it may go."""

from collections.abc import Mapping
from datetime import datetime

from confluent_kafka.admin import AdminClient

from consumer.errors import ConsumerStoppedError
from consumer.kafka.topic_id import topic_id
from consumer.kafka.topic_reader import Ends, TopicReader
from consumer.postgres.fence import read_fence
from consumer.replay.schema import connected, live_source
from consumer.settings import ConsumerSettings
from contracts.topics import UPSERT_PARTITIONS

UNTOUCHED = "The live tables are as they were."


def require_source(settings: ConsumerSettings, admin: AdminClient, start: Mapping[int, int]) -> None:
    """Raises ConsumerStoppedError unless this is the topic of the live tables, with everything from `start` on."""
    topic = settings.topics.upserts
    known = live_topic(settings)
    now = topic, topic_id(admin, topic)
    if known != now:
        raise ConsumerStoppedError(
            f"The live tables were filled from another topic than {topic} as it is now (known: {known}, now: {now}): "
            "it was deleted and created again, or ORDERS_POSTGRES_URL or ORDERS_KAFKA_BOOTSTRAP is that of another "
            f"installation. From this topic the tables cannot be rebuilt. {UNTOUCHED}"
        )
    fence = live_fence(settings)
    reader = TopicReader(settings, topic)
    try:
        first, ends = reader.bounds(range(UPSERT_PARTITIONS))
    finally:
        reader.close()
    truncated = {p: first[p] for p in first if first[p] > start[p]}
    if truncated:
        raise ConsumerStoppedError(
            f"{topic} no longer has its first events: by partition it begins at {truncated}. Records were removed "
            "(retention.ms and retention.bytes should be -1). A replay can only begin at a snapshot that is as new: "
            f"orders replay --from SCHEMA. {UNTOUCHED}"
        )
    short = {p: (ends[p], fence[p]) for p in ends if ends[p] < fence[p]}
    if short:
        raise ConsumerStoppedError(
            f"{topic} lacks events that the live tables have: by partition it ends at, and they stand at, {short}. "
            "Kafka lost records, or was put back to an older state. Do not rebuild from it; find out what happened. "
            f"{UNTOUCHED}"
        )


def live_topic(settings: ConsumerSettings) -> tuple[str, str]:
    with connected(settings.postgres_url) as connection:
        return live_source(connection)


def live_fence(settings: ConsumerSettings) -> dict[int, int]:
    """Up to where the consumers have decided."""
    with connected(settings.postgres_url) as connection:
        return read_fence(connection)


def ends_at(settings: ConsumerSettings, until: datetime, fence: Ends) -> dict[int, int]:
    """By partition, the first offset that was appended at `until` or later, at the most `fence`."""
    reader = TopicReader(settings, settings.topics.upserts)
    try:
        found = reader.offsets_at(until, range(UPSERT_PARTITIONS))
    finally:
        reader.close()
    return {partition: min(fence[partition], found.get(partition, fence[partition])) for partition in fence}
