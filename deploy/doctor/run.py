"""All checks, in an order in which the cause of what fails comes first."""

import sys
from collections.abc import Iterator
from importlib.metadata import version

import confluent_kafka
from psycopg import pq

from consumer.kafka.broker import Broker
from consumer.postgres.server import limit_statements
from consumer.replay.schema import connected
from contracts.role import Role
from contracts.settings import KafkaSettings
from deploy.doctor import kafka, tables
from deploy.doctor.findings import Finding, Status, found_by

OLDEST_PYTHON = 3, 11
STATEMENT_TIMEOUT_MS = 10_000


def examine(settings: KafkaSettings, postgres_url: str | None, role: Role) -> Iterator[Finding]:
    """Each finding as soon as it is made. What needs a server that does not answer is not asked."""
    yield programs()
    broker = Broker(settings)
    reached = list(found_by("brokers", lambda: kafka.brokers(settings, broker)))
    yield from reached
    has_kafka = len(reached) > 1
    if has_kafka:
        yield from found_by("topics", lambda: kafka.topics(settings, broker))
        yield from found_by("kafka rights", lambda: kafka.rights(settings, broker, role))
        yield from found_by("kafka clock", lambda: kafka.clock(settings, broker))
        yield from found_by("dead letters", lambda: kafka.letters(settings))
    if postgres_url is None:
        yield Finding("postgres", Status.WARNING, "It was not looked at: ORDERS_POSTGRES_URL is not set. Set it.")
    else:
        yield from found_by("postgres", lambda: _postgres(postgres_url, settings if has_kafka else None))


def programs() -> Finding:
    """The versions of what runs here."""
    python = ".".join(map(str, sys.version_info[:3]))
    text = (
        f"order-upsert {version('order-upsert')}, Python {python}, librdkafka {confluent_kafka.libversion()[0]}, "
        f"libpq {pq.version() // 10_000}"
    )
    if sys.version_info[:2] < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        return Finding("versions", Status.WRONG, f"{text}: Python should be {oldest} or newer. Upgrade it.")
    return Finding("versions", Status.OK, f"{text}.")


def _postgres(url: str, settings: KafkaSettings | None) -> Iterator[Finding]:
    with connected(url) as connection:
        limit_statements(connection, STATEMENT_TIMEOUT_MS)
        yield from found_by("postgres version", lambda: tables.server(connection))
        yield from found_by("postgres clock", lambda: tables.skew(connection))
        found = list(found_by("tables", lambda: tables.tables(connection)))
        yield from found
        if settings is not None and not any(finding.status is Status.WRONG for finding in found):
            yield from found_by("log", lambda: tables.log(connection, settings))
            yield from found_by("lag", lambda: tables.lag(connection, settings))
