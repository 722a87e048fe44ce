"""The ends of partitions, as the client knows them from what it fetched last. Asks nobody."""

from collections.abc import Collection

from confluent_kafka import Consumer, KafkaException, TopicPartition


def known_ends(consumer: Consumer, topic: str, partitions: Collection[int]) -> dict[int, int]:
    """By partition. Those of which nothing was fetched yet are left out."""
    found: dict[int, int] = {}
    for partition in partitions:
        try:
            ends = consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
        except KafkaException:
            continue
        if ends is not None and ends[1] >= 0:
            found[partition] = ends[1]
    return found
