"""One installation of the system: topics and a database of its own on the shared servers, and its processes."""

import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from psycopg.rows import dict_row

from consumer.settings import ConsumerSettings
from contracts.event import HeaderWriter, ReplyTo, RequestContext
from contracts.settings import KafkaProperty, KafkaSettings
from contracts.topics import LETTER_BYTES_MAX
from deploy.local.child import Child
from deploy.local.ports import free_port
from deploy.partners import PartnerRegistry
from deploy.setup import set_up_topics
from support.http import Answer, Connection, is_ready
from support.private_logs import keep_secret
from support.waiting import HANG_S, eventually

FETCH_RECORDS_MAX = 1000


@dataclass
class Ingress:
    child: Child
    port: int

    @property
    def is_ready(self) -> bool:
        return is_ready(self.port)


@dataclass
class Installation:
    bootstrap: str
    postgres_url: str
    folder: Path
    prefix: str = field(default_factory=lambda: f"t{secrets.token_hex(4)}")
    running: ExitStack = field(default_factory=ExitStack)
    count: int = 0
    ingresses: list[Ingress] = field(default_factory=list)
    client_properties: dict[str, KafkaProperty] = field(default_factory=dict)
    """Of the clients of the tests themselves."""

    @property
    def settings(self) -> KafkaSettings:
        return KafkaSettings(
            kafka_bootstrap=self.bootstrap, topic_prefix=self.prefix, kafka_properties=self.client_properties
        )

    def consumer_settings(self, **changes: Any) -> ConsumerSettings:
        return ConsumerSettings(
            kafka_bootstrap=self.bootstrap, topic_prefix=self.prefix, postgres_url=self.postgres_url, **changes
        )

    @property
    def environment(self) -> dict[str, str]:
        return {
            "ORDERS_KAFKA_BOOTSTRAP": self.bootstrap,
            "ORDERS_POSTGRES_URL": self.postgres_url,
            "ORDERS_TOPIC_PREFIX": self.prefix,
        }

    def set_up(self) -> "Installation":
        set_up_topics(self.settings, None)
        return self

    # processes

    def start(
        self, command: str, variables: Mapping[str, str] | None = None, program: list[str] | None = None
    ) -> Child:
        self.count += 1
        child = Child(
            f"{command} {self.count}",
            program or [sys.executable, "-W", "error", "-m", "deploy", command],
            self.folder / f"{self.prefix}-{command}-{self.count}.log",
            env={**self.environment, **(variables or {})},
        )
        self.running.callback(child.stop)
        return child

    def start_consumer(self, variables: Mapping[str, str] | None = None, program: list[str] | None = None) -> Child:
        """Returns when it has its first partitions."""
        child = self.start("consumer", variables, program)
        child.wait_until(lambda: b"assigned:" in child.log.read_bytes(), HANG_S)
        return child

    def start_ingress(self, variables: Mapping[str, str] | None = None, program: list[str] | None = None) -> Ingress:
        """Returns when it is ready. Unless `variables` say otherwise, its requests wait for HANG_S."""
        port = free_port()
        patient = {"ORDERS_PORT": str(port), "ORDERS_REQUEST_TIMEOUT_S": str(HANG_S)}
        ingress = Ingress(self.start("ingress", {**patient, **(variables or {})}, program), port)
        ingress.child.wait_until(lambda: ingress.is_ready, HANG_S)
        self.ingresses.append(ingress)
        return ingress

    # partners and Postgres

    def registry(self) -> PartnerRegistry:
        return PartnerRegistry(self.settings, lambda: datetime.now(UTC), secrets.choice)

    def add_partner(self, name: str = "", orders_per_s: int | None = None) -> str:
        """The token of a new partner, known to every running ingress."""
        token = keep_secret(self.registry().add(name or f"p-{secrets.token_hex(4)}", orders_per_s))
        for ingress in self.ingresses:
            if ingress.child.exit_code is None:
                eventually(lambda ingress=ingress: self.post(ingress, token, []).status == 200)  # type: ignore[misc]
        return token

    def sql(self, statement: str, *parameters: Any) -> list[dict[str, Any]]:
        with psycopg.connect(self.postgres_url, autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(statement.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def rows(self, partner_id: str) -> dict[str, dict[str, Any]]:
        """The rows of a partner by order_id."""
        rows = self.sql("SELECT * FROM orders WHERE partner_id = %s", partner_id)
        return {row["order_id"]: row for row in rows}

    # topics

    def end_offsets(self, topic: str) -> dict[int, int]:
        def ask() -> dict[int, int]:
            partitions = consumer.list_topics(topic, timeout=HANG_S).topics[topic].partitions
            return {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=HANG_S)[1] for p in partitions}

        with self.consumer() as consumer:
            return eventually(ask, not_yet=(KafkaException,))  # a broker that just started leads no partition yet

    def records(self, topic: str) -> list[Message]:
        """Every record of a topic, by partition and offset. Reads many at a time: there may be 100,000."""
        ends = {partition: end for partition, end in self.end_offsets(topic).items() if end}
        found: list[Message] = []
        with self.consumer() as consumer:
            consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
            while any(ends.values()):
                first = consumer.poll(HANG_S)
                assert first is not None, f"records are missing in {topic}: {ends}"
                messages = [first, *consumer.consume(FETCH_RECORDS_MAX, 0)]
                for message in messages:
                    assert message.error() is None, message.error()
                    partition, offset = message.partition(), message.offset()
                    assert partition is not None
                    assert offset is not None
                    if offset + 1 >= ends[partition]:
                        ends[partition] = 0
                found += messages
        return sorted(found, key=lambda message: (message.partition() or 0, message.offset() or 0))

    def committed(self) -> dict[int, int]:
        """The watermark *answered* of each partition that has one."""
        topic = self.settings.topics.upserts
        with self.consumer(self.settings.topics.consumer_group) as consumer:
            asked = [TopicPartition(topic, partition) for partition in range(12)]
            return {
                item.partition: item.offset for item in consumer.committed(asked, timeout=HANG_S) if item.offset >= 0
            }

    def is_answered(self) -> bool:
        """Whether both watermarks stand at the end of the topic."""
        ends = self.end_offsets(self.settings.topics.upserts)
        fence = {row["partition"]: row["next_offset"] for row in self.sql("SELECT * FROM consumer_partition")}
        committed = self.committed()
        return fence == ends and all(committed.get(partition, 0) == end for partition, end in ends.items())

    def wait_until_answered(self) -> None:
        eventually(self.is_answered)

    @contextmanager
    def consumer(self, group: str = "test") -> Iterator[Consumer]:
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": group,
                "enable.auto.commit": False,
                "log_level": 2,
                **self.client_properties,
            }
        )
        try:
            yield consumer
        finally:
            consumer.close()

    def produce(self, records: list[dict[str, Any]]) -> None:
        """Writes records as another client does. Each is a dict of arguments of `Producer.produce`."""
        producer = Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "partitioner": "murmur2_random",
                "message.max.bytes": LETTER_BYTES_MAX,
                **self.client_properties,
            }
        )
        failed: list[object] = []
        for record in records:
            producer.produce(
                **{"topic": self.settings.topics.upserts, **record},
                on_delivery=lambda error, _: failed.append(error) if error else None,
            )
        assert producer.flush(HANG_S) == 0
        assert not failed, failed

    # HTTP

    def post(self, ingress: Ingress, token: str, orders: list[dict[str, Any]], **headers: str) -> Answer:
        with closing(Connection(ingress.port)) as connection:
            return connection.post(token, orders, **headers)


def texts(message: Message) -> dict[str, str]:
    """The headers of a record, as text; the reply partition is a number."""
    headers: Any = message.headers() or ()
    return {name: (value or b"").decode(errors="replace") for name, value in headers}


def headers_of(
    partner_id: str,
    index: int = 0,
    request_id: UUID | None = None,
    reply_to: ReplyTo | None = None,
    size: int = 1,
    digest: str | None = None,
) -> list[tuple[str, Any]]:
    """The headers of an event, as the ingress writes them."""
    context = RequestContext(request_id or uuid4(), partner_id, size, 0, reply_to, digest=digest)
    return HeaderWriter(context).headers(index)
