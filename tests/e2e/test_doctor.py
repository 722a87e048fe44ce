"""`orders doctor` finds what is wrong, says what to do, and changes nothing."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from consumer.errors import ConsumerStoppedError
from consumer.kafka.topic_id import topic_id
from consumer.postgres import server
from consumer.postgres.server import OLDEST_POSTGRES, require_supported
from consumer.replay.schema import connected
from contracts.role import Role
from deploy.commands.doctor import doctor
from deploy.doctor import kafka, run, tables
from deploy.doctor.kafka import judged_version
from deploy.errors import UnhealthyError
from deploy.local.ports import free_port
from support.commands import orders, orders_here
from support.installation import Installation, headers_of
from support.waiting import eventually

CHECKS = [
    "versions",
    "brokers",
    "kafka version",
    "topics",
    "kafka rights",
    "kafka clock",
    "dead letters",
    "postgres version",
    "postgres settings",
    "postgres clock",
    "tables",
    "log",
    "lag",
]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MOVES_WITHIN_S", 0.1)


@pytest.fixture
def tables_alone(shared_installation: Installation, database: str) -> Installation:
    """A database of its own, and topics in which nothing is ever written."""
    shared = shared_installation
    return Installation(shared.bootstrap, database, shared.folder, shared.prefix)


def findings(installation: Installation, **variables: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and what is said by check."""
    done = orders_here("doctor", "--json", env={**installation.environment, **variables})
    said = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, {finding["check"]: finding for finding in said}


def wrong(installation: Installation, check: str, status: str = "wrong") -> str:
    """The text of the one check that finds something."""
    code, said = findings(installation)
    assert code == (status == "wrong")
    found = {name: finding["text"] for name, finding in said.items() if finding["status"] == status}
    found.pop("brokers", None)  # the tests have one
    assert list(found) == [check], found
    text: str = found[check]
    return text


def test_a_new_installation_is_well_and_each_check_is_one_line(installation: Installation) -> None:
    done = orders("doctor", env=installation.environment)
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert [line[9:28].strip() for line in lines] == CHECKS
    assert {line.split()[0] for line in lines if "brokers" not in line} == {"ok"}


def test_what_is_wrong_with_a_topic_is_told(installation: Installation) -> None:
    entry = ConfigEntry("retention.ms", "1000", incremental_operation=AlterConfigOpType.SET)
    topic = installation.settings.topics.upserts
    change = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": installation.bootstrap})
    admin.incremental_alter_configs([change])[change].result()
    eventually(lambda: "retention.ms=1000" in wrong(installation, "topics"))


def test_events_that_nobody_applies_and_their_letters_are_told(installation: Installation) -> None:
    installation.produce([{"key": b"O-1", "value": b"{}", "headers": headers_of("p")}])
    assert wrong(installation, "lag").startswith("1 events are not applied")
    installation.start_consumer()
    installation.wait_until_answered()
    assert "1 dead letters are open" in wrong(installation, "dead letters", "warning")


@pytest.mark.parametrize(
    ("statement", "check", "text"),
    [
        ("ALTER TABLE request_key DROP COLUMN digest", "tables", "the column request_key.digest is missing"),
        ("DELETE FROM consumer_partition WHERE partition = 3", "tables", "orders setup"),
        ("DELETE FROM schema_migration WHERE version LIKE '0005%%'", "tables", "Missing migrations"),
        ("ALTER DATABASE {} SET synchronous_commit = off", "postgres settings", "synchronous_commit=off and needs on"),
        ("ALTER DATABASE {} SET default_transaction_read_only = on", "postgres settings", "takes no writes"),
        ("UPDATE consumer_partition SET next_offset = 7 WHERE partition = 0", "log", "Kafka lost the 7 records"),
    ],
)
def test_what_is_wrong_in_postgres_is_told(tables_alone: Installation, statement: str, check: str, text: str) -> None:
    with connected(tables_alone.postgres_url) as connection:
        connection.execute(b"INSERT INTO source_topic (topic, topic_id) VALUES (%s, %s)", topic_of(tables_alone))
        connection.execute(statement.format(connection.info.dbname).encode())
    assert text in wrong(tables_alone, check)


def topic_of(installation: Installation) -> list[str]:
    topic = installation.settings.topics.upserts
    admin = AdminClient({"bootstrap.servers": installation.bootstrap})
    return [topic, topic_id(admin, topic)]


def test_servers_that_do_not_answer_are_told(tables_alone: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.kafka.broker.Broker.require_reachable.__defaults__", (0.5,))
    nowhere = f"127.0.0.1:{free_port()}"
    code, said = findings(
        tables_alone, ORDERS_KAFKA_BOOTSTRAP=nowhere, ORDERS_POSTGRES_URL=f"postgresql://u@{nowhere}/d"
    )
    assert code == 1
    assert {name for name, finding in said.items() if finding["status"] == "wrong"} == {"brokers", "postgres"}
    assert list(said) == ["versions", "brokers", "postgres"]
    assert nowhere in said["brokers"]["text"]


def test_clocks_that_are_off_are_told(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "clock", lambda _: datetime.now(UTC) + timedelta(seconds=90))
    assert "is 90 s off" in wrong(installation, "postgres clock", "warning")
    monkeypatch.undo()
    installation.produce([{"key": b"O-1", "value": b"{}", "headers": headers_of("p")}])
    monkeypatch.setattr(kafka, "now_s", lambda: 0.0)
    _, said = findings(installation)
    assert said["kafka clock"]["status"] == "warning"
    assert "in the future" in said["kafka clock"]["text"]


def test_a_server_that_is_too_old_is_refused_in_one_sentence(
    tables_alone: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = tables_alone
    monkeypatch.setattr(server, "OLDEST_POSTGRES", 99)
    with connected(installation.postgres_url) as connection, pytest.raises(ConsumerStoppedError, match="needs 99"):
        require_supported(connection)
    assert "needs 99 or newer" in wrong(installation, "postgres version")
    done = orders_here("setup", env=installation.environment)
    assert (done.returncode, "needs 99 or newer" in done.stderr) == (1, True)
    assert OLDEST_POSTGRES < 99


@pytest.mark.parametrize(
    ("told", "status"), [("3.7-IV4", "ok"), ("3.6-IV2", "wrong"), ("2.8", "wrong"), ("4.3-IV0", "ok"), ("x", "wrong")]
)
def test_a_kafka_that_is_too_old_is_told(told: str, status: str) -> None:
    assert judged_version(told).status == status


def test_a_python_that_is_too_old_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run.programs().status == "ok"
    monkeypatch.setattr(run, "OLDEST_PYTHON", (9, 0))
    assert "Python should be 9.0 or newer" in run.programs().text


def test_what_is_wrong_ends_the_command_with_an_error(
    tables_alone: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in tables_alone.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(run, "OLDEST_PYTHON", (9, 0))
    with pytest.raises(UnhealthyError, match="Wrong: 1"):
        doctor(Role.OPERATOR, as_json=True)
