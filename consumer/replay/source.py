"""Checks that the topic still has what a replay needs, and finds the offsets where a replay ends."""

from collections.abc import Mapping
from datetime import datetime

from confluent_kafka.admin import AdminClient

from consumer.errors import ConsumerStoppedError
from consumer.kafka.topic_id import topic_id
from consumer.kafka.topic_reader import Ends, TopicReader
from consumer.postgres.fence import read_fence, require_open
from consumer.replay.outage import LIVE_TABLES_UNCHANGED
from consumer.replay.schema import connected, live_source
from consumer.settings import ConsumerSettings
from contracts.topics import UPSERT_PARTITIONS


def require_source(settings: ConsumerSettings, admin: AdminClient, start: Mapping[int, int]) -> None:
    """Raises ConsumerStoppedError unless this is the topic of the live tables, with all records from `start` on."""
    topic = settings.topics.upserts
    known = live_topic(settings)
    now = topic, topic_id(admin, topic)
    if known != now:
        raise ConsumerStoppedError(
            f"The live tables were filled from another topic (known: {known}, now: {now}). Either it was deleted and "
            "created again, or ORDERS_POSTGRES_URL or ORDERS_KAFKA_BOOTSTRAP is that of another installation. The "
            f"tables cannot be rebuilt from this topic. {LIVE_TABLES_UNCHANGED}"
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
            f"{topic} no longer has its first events: these partitions begin at {truncated}. Records were removed "
            "(retention.ms and retention.bytes should be -1). A replay can only begin at a snapshot from after these "
            f"offsets: orders replay --from SCHEMA. {LIVE_TABLES_UNCHANGED}"
        )
    short = {p: (ends[p], fence[p]) for p in ends if ends[p] < fence[p]}
    if short:
        raise ConsumerStoppedError(
            f"{topic} lacks events that the live tables have. By partition (end of the topic, fence of the tables): "
            f"{short}. Kafka lost records or was restored to an older state. Do not rebuild; find out what happened. "
            f"{LIVE_TABLES_UNCHANGED}"
        )


def live_topic(settings: ConsumerSettings) -> tuple[str, str]:
    with connected(settings.postgres_url) as connection:
        return live_source(connection)


def live_fence(settings: ConsumerSettings) -> dict[int, int]:
    """For each partition, the offset up to which the consumers have decided."""
    with connected(settings.postgres_url) as connection:
        fence = read_fence(connection)
    require_open(fence)
    return fence


def ends_at(settings: ConsumerSettings, until: datetime, fence: Ends) -> dict[int, int]:
    """For each partition, the first offset that was appended at `until` or later, but at most its `fence`.

    Raises ConsumerStoppedError if no event is older.
    """
    reader = TopicReader(settings, settings.topics.upserts)
    try:
        first, _ = reader.bounds(range(UPSERT_PARTITIONS))
        found = reader.offsets_at(until, range(UPSERT_PARTITIONS))
    finally:
        reader.close()
    if all(found.get(partition, fence[partition]) <= start for partition, start in first.items()):
        raise ConsumerStoppedError(
            f"No event is from before {until:%Y-%m-%d %H:%M:%S} UTC, so there were no orders then. Nothing was made."
        )
    return {partition: min(fence[partition], found.get(partition, fence[partition])) for partition in fence}
