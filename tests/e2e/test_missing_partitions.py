"""What the commands that read the topics say if a partition has no leader or does not exist."""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from consumer.errors import RetryLaterError
from consumer.kafka import topic_reader as reading
from consumer.kafka.topic_reader import TopicReader
from contracts.partitioner import partition_of
from deploy.local.kafka import KafkaBroker
from support.commands import Done, orders_here
from support.installation import Installation
from support.many_events import history, write
from support.second_broker import SecondBroker
from support.waiting import HANG_S, eventually

Install = Callable[[str, str], Installation]


def test_partitions_without_leader_are_named_and_nothing_is_changed(
    install: Install, own_kafka: KafkaBroker, database: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = SecondBroker(own_kafka, folder / "second-broker")
    second.start()
    try:
        installation = install(own_kafka.bootstrap, database)
        consumer = installation.start_consumer()
        write(installation, history(900, 300, seed=1))
        installation.wait_until_answered()
        consumer.stop()
        rows = installation.sql("SELECT * FROM orders ORDER BY partner_id, order_id")
        second.stop()

        upserts, dlq = installation.settings.topics.upserts, installation.settings.topics.dlq
        lost, lost_letters = without_leader(installation, upserts), without_leader(installation, dlq)
        order = next(f"M-{n}" for n in range(300) if partition_of(b"M-%d" % n, 12) in lost)
        monkeypatch.setattr(reading, "LEADER_WAIT_MAX_S", 0.5)
        for done, partitions in (
            (command(installation, "replay"), lost),
            (command(installation, "replay", "--until", "0s"), lost),
            (command(installation, "history", order), None),
            (command(installation, "dlq", "list"), lost_letters),
        ):
            assert done.returncode == 1
            assert (
                "have no leader, because the brokers that keep them are down (node ids [2]). Start those" in done.stderr
            )
            assert partitions is None or f"The partitions {sorted(partitions)} of" in done.stderr
        monkeypatch.setattr(reading, "SILENCE_MAX_S", 0.5)
        with closing(TopicReader(installation.settings, upserts)) as reader:
            partition = min(lost)
            with pytest.raises(RetryLaterError, match=r"no leader.*\[2\]"):
                list(reader.read({partition: 0}, {partition: 1}))  # a partition that loses its leader after the start
            with pytest.raises(RetryLaterError, match=r"no leader.*\[2\]"):
                reader.offsets_at(datetime.now(UTC), range(12))  # the client gives the time as an offset
        assert installation.sql("SELECT * FROM orders ORDER BY partner_id, order_id") == rows
    finally:
        second.stop()


def test_a_topic_with_another_number_of_partitions_is_refused(installation: Installation, bootstrap: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    few = Installation(bootstrap, installation.postgres_url, installation.folder)
    topics = [NewTopic(topic, 6, 1) for topic in (few.settings.topics.upserts, few.settings.topics.dlq)]
    for made in admin.create_topics(topics).values():
        made.result()
    eventually(lambda: all(len(few.end_offsets(topic.topic)) == 6 for topic in topics))
    for arguments in (["history", "M-1"], ["dlq", "list"]):
        done = command(few, *arguments)
        assert (done.returncode, "has 6 partitions instead of 12" in done.stderr) == (1, True), done.stderr
    for deleted in admin.delete_topics([topic.topic for topic in topics]).values():
        deleted.result()
    unknown = command(few, "dlq", "list")
    assert (unknown.returncode, "does not exist" in unknown.stderr) == (1, True), unknown.stderr


def command(installation: Installation, *arguments: str) -> Done:
    return orders_here(*arguments, env=installation.environment)


def without_leader(installation: Installation, topic: str) -> set[int]:
    with installation.consumer() as client:
        found = client.list_topics(topic, timeout=HANG_S).topics[topic].partitions
    return {number for number, partition in found.items() if partition.leader < 0}
