"""Checks of Kafka: brokers, versions, topics, rights, the clock, and dead letters."""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from time import time as now_s

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import ConfigResource, OffsetSpec, ResourceType  # type: ignore[attr-defined]

from consumer.errors import ConsumerStoppedError
from consumer.kafka.broker import ANSWER_TIMEOUT_S, Broker
from consumer.kafka.topic_reader import TopicReader
from consumer.letters.letter import read_letter
from consumer.letters.states import LetterStates, State
from contracts.role import Role
from contracts.roles import rights_of
from contracts.settings import KafkaSettings
from contracts.topic_checks import Trouble, of_trouble
from contracts.topic_spec import REPLICAS_OF_A_CLUSTER
from contracts.topics import UPSERT_PARTITIONS
from deploy.admin import call_broker
from deploy.doctor.findings import Finding, Status, wrong_or_ok

OLDEST_KAFKA = 3, 7
"""The oldest version on which the tests ran."""
NEWEST_KAFKA = 4, 3
SKEW_MAX_S = 5.0
LETTERS_READ_MAX = 20_000
"""Records of the dead-letter topic that are read. If there are more, they are only counted."""
_VERSION = "inter.broker.protocol.version", "metadata.version"


def brokers(settings: KafkaSettings, broker: Broker) -> Iterator[Finding]:
    """Raises ConsumerError if no broker answers, or if it refuses this user."""
    broker.require_reachable()
    cluster = broker.answer(broker.client.describe_cluster(request_timeout=ANSWER_TIMEOUT_S))
    count = len(cluster.nodes)
    text = f"{count} brokers answer at {settings.kafka_bootstrap}, cluster {cluster.cluster_id}"
    if count < REPLICAS_OF_A_CLUSTER:
        yield Finding(
            "brokers",
            Status.WARNING,
            f"{text}: with fewer than {REPLICAS_OF_A_CLUSTER}, a broker that dies takes orders with it, or stops all. "
            "Add brokers, then replicas with kafka-reassign-partitions.",
        )
    else:
        yield Finding("brokers", Status.OK, f"{text}.")


def version(broker: Broker) -> Iterator[Finding]:
    """Kafka tells clients no release. Before 4.0 it tells the version of its protocol, which is that of the release."""
    nodes = broker.answer(broker.client.describe_cluster(request_timeout=ANSWER_TIMEOUT_S)).nodes
    resource = ConfigResource(ResourceType.BROKER, str(nodes[0].id))
    try:
        config = broker.answer(broker.client.describe_configs([resource], request_timeout=ANSWER_TIMEOUT_S)[resource])
    except KafkaException as error:
        said = error.args[0].str().rstrip(".")
        text = f"The version of Kafka is not known: {said}. To see it, give this user DescribeConfigs on the cluster."
        oldest = ".".join(map(str, OLDEST_KAFKA))
        yield Finding("kafka version", Status.WARNING, f"{text} It should be {oldest} or newer.")
        return
    told = next((config[name].value for name in _VERSION if name in config and config[name].value), None)
    if told is None:
        yield Finding("kafka version", Status.OK, "Kafka is 4.0 or newer.")
    else:
        yield judged_version(str(told))


def judged_version(told: str) -> Finding:
    """`told`: as 3.9-IV0."""
    oldest = ".".join(map(str, OLDEST_KAFKA))
    found = re.match(r"(\d+)\.(\d+)", told)
    if found is None or (int(found[1]), int(found[2])) < OLDEST_KAFKA:
        text = f"Kafka speaks the protocol of version {told}, and this program needs {oldest} or newer. Upgrade Kafka, "
        return Finding("kafka version", Status.WRONG, f"{text}then its metadata.version (kafka-features upgrade).")
    return Finding("kafka version", Status.OK, f"Kafka speaks the protocol of version {told}.")


def topics(broker: Broker, names: Collection[str]) -> Iterator[Finding]:
    """Each topic of these, and its settings."""
    nothing_asked = dict.fromkeys(names, frozenset[str]())
    found = broker.problems(nothing_asked)
    texts = of_trouble(found, *Trouble).splitlines()
    yield from wrong_or_ok("topics", texts, f"{len(nothing_asked)} topics are as `orders setup` makes them.")


def rights(settings: KafkaSettings, broker: Broker, role: Role) -> Iterator[Finding]:
    """Whether this user may do what the process of `role` does."""
    found: list[str] = []
    try:
        broker.require_rights(rights_of(role, settings.topics).topics)
    except ConsumerStoppedError as error:
        found = str(error).splitlines()
    user = settings.kafka_user
    yield from wrong_or_ok("kafka rights", found, f"The Kafka user {user} has the rights of the role {role} on topics.")


def clock(settings: KafkaSettings, broker: Broker) -> Iterator[Finding]:
    """The newest event has the time of its broker."""
    partitions = [TopicPartition(settings.topics.upserts, partition) for partition in range(UPSERT_PARTITIONS)]
    spec = OffsetSpec.max_timestamp()  # type: ignore[no-untyped-call]

    def newest() -> int:
        asked = broker.client.list_offsets(dict.fromkeys(partitions, spec), request_timeout=ANSWER_TIMEOUT_S)
        times: list[int] = [broker.answer(future).timestamp for future in asked.values()]
        return max(times)

    newest_ms = call_broker(settings, newest)
    ahead_s = newest_ms / 1000 - now_s()
    if newest_ms < 0:
        yield Finding("kafka clock", Status.OK, "There is no event yet.")
    elif ahead_s > SKEW_MAX_S:
        yield Finding(
            "kafka clock",
            Status.WARNING,
            f"The newest event is {ahead_s:.0f} s in the future of this machine. Set the clocks of the brokers and of "
            "this machine by NTP: a day of the ledger begins with the time of its first event.",
        )
    else:
        when = datetime.fromtimestamp(newest_ms / 1000, UTC)
        yield Finding("kafka clock", Status.OK, f"The newest event is of {when:%Y-%m-%d %H:%M:%S} UTC.")


def letters(settings: KafkaSettings) -> Iterator[Finding]:
    """Dead letters that are open."""
    with closing(TopicReader(settings, settings.topics.dlq)) as reader:
        starts, ends = reader.bounds(range(UPSERT_PARTITIONS))
        count = sum(ends.values()) - sum(starts.values())
        if count > LETTERS_READ_MAX:
            yield Finding(
                "dead letters",
                Status.WARNING,
                f"There are up to {count:,} dead letters and notes, too many to read here. Run: orders dlq summary",
            )
            return
        count_open = _count_open(reader, starts, ends)
    if count_open:
        text = f"{count_open:,} dead letters are open: orders that were not applied. Run: orders dlq summary"
        yield Finding("dead letters", Status.WARNING, text)
    else:
        yield Finding("dead letters", Status.OK, "No dead letter is open.")


def _count_open(reader: TopicReader, starts: Mapping[int, int], ends: Mapping[int, int]) -> int:
    states = LetterStates(starts, ends, lambda _: True)
    for chunk in reader.read(starts, ends):
        for record in chunk.records:
            states.add_read(record, read_letter(record))
    return states.count([State.OPEN])
