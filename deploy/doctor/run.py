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
from contracts.roles import rights_of
from contracts.settings import KafkaSettings
from deploy.doctor import kafka, tables
from deploy.doctor.findings import Finding, Status, found_by

OLDEST_PYTHON = 3, 11
STATEMENT_TIMEOUT_MS = 10_000
_ROLES_WITH_TABLES = Role.INGRESS, Role.CONSUMER, Role.SETUP, Role.OPERATOR


def examine(settings: KafkaSettings, postgres_url: str | None, role: Role) -> Iterator[Finding]:
    """Each finding as soon as it is made. Not asked is what needs a server that does not answer.

    Nor is what a user with the least rights of `role` may not see: it lacks nothing, and only an operator sees all.
    """
    yield programs()
    broker = Broker(settings)
    reached = list(found_by("brokers", lambda: kafka.brokers(settings, broker)))
    yield from reached
    has_kafka = not any(finding.status is Status.WRONG for finding in reached)
    if has_kafka:
        yield from _kafka(settings, broker, role)
    if role not in _ROLES_WITH_TABLES:
        return
    if postgres_url is None:
        yield Finding("postgres", Status.WARNING, "It was not looked at: ORDERS_POSTGRES_URL is not set. Set it.")
    else:
        yield from found_by("postgres", lambda: _postgres(postgres_url, settings if has_kafka else None, role))


def _kafka(settings: KafkaSettings, broker: Broker, role: Role) -> Iterator[Finding]:
    may = rights_of(role, settings.topics)
    if may.cluster:
        yield from found_by("kafka version", lambda: kafka.version(broker))
    described = [topic for topic, operations in may.topics.items() if "DESCRIBE_CONFIGS" in operations]
    if described:
        yield from found_by("topics", lambda: kafka.topics(broker, described))
    yield from found_by("kafka rights", lambda: kafka.rights(settings, broker, role))
    if settings.topics.upserts in may.topics:
        yield from found_by("kafka clock", lambda: kafka.clock(settings, broker))
    if "READ" in may.topics.get(settings.topics.dlq, ()):
        yield from found_by("dead letters", lambda: kafka.letters(settings))


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


def _postgres(url: str, settings: KafkaSettings | None, role: Role) -> Iterator[Finding]:
    with connected(url) as connection:
        limit_statements(connection, STATEMENT_TIMEOUT_MS)
        yield from found_by("postgres version", lambda: tables.server(connection))
        yield from found_by("postgres clock", lambda: tables.skew(connection))
        if role is Role.INGRESS:
            return
        found = list(found_by("tables", lambda: tables.tables(connection)))
        yield from found
        if any(finding.status is Status.WRONG for finding in found):
            return
        if settings is not None and role is not Role.SETUP:  # it may not read events
            yield from found_by("log", lambda: tables.log(connection, settings))
            yield from found_by("lag", lambda: tables.lag(connection, settings))
