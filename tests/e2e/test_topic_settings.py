"""The settings of topics on which a promise stands: checked at the start, and noticed while processes run."""

import json
import time
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import Any

import psutil
import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    ResourceType,
)

from contracts.topics import Topics
from deploy.local.child import Child
from deploy.local.kafka import KafkaBroker
from deploy.local.ports import free_port
from support.http import Connection, get
from support.installation import Ingress, Installation
from support.orders import an_order
from support.waiting import eventually


def admin(running: Installation) -> AdminClient:
    return _admin(running.bootstrap)


@cache
def _admin(bootstrap: str) -> AdminClient:
    """Kept: one that is let go gives no answer."""
    return AdminClient({"bootstrap.servers": bootstrap})


def change(running: Installation, topic: str, **settings: str) -> None:
    """Underscores for dots."""
    entries = [
        ConfigEntry(name.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
        for name, value in settings.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    admin(running).incremental_alter_configs([resource])[resource].result()
    wanted = {name.replace("_", "."): value for name, value in settings.items()}
    eventually(lambda: wanted.items() <= config_of(running, topic).items())


def config_of(running: Installation, topic: str) -> dict[str, str]:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    return {name: entry.value for name, entry in admin(running).describe_configs([resource])[resource].result().items()}


def ended(child: Child) -> str:
    """What it wrote; it ended by itself, with an error."""
    eventually(lambda: child.exit_code is not None)
    assert child.exit_code == 1
    text = child.log.read_text()
    assert "Traceback" not in text
    assert "A bug" not in text
    return text


WRONG = [
    ("upserts", "cleanup_policy", "compact"),
    ("upserts", "retention_ms", "604800000"),
    ("upserts", "retention_bytes", "1000000"),
    ("upserts", "message_timestamp_type", "CreateTime"),
    ("upserts", "max_message_bytes", "1000"),
    ("upserts", "unclean_leader_election_enable", "true"),
    ("upserts", "min_insync_replicas", "2"),
    ("dlq", "retention_ms", "604800000"),
    ("dlq", "max_message_bytes", "1000"),
    ("dlq", "message_timestamp_type", "LogAppendTime"),
    ("results", "cleanup_policy", "compact"),
    ("results", "retention_ms", "1000"),
]


def test_the_consumer_names_everything_that_is_wrong_and_set_up_mends_it(installation: Installation) -> None:
    topics = installation.settings.topics
    for topic, name, value in WRONG:
        change(installation, getattr(topics, topic), **{name: value})
    text = ended(installation.start("consumer"))
    for topic, name, value in WRONG:
        sentence = f"The topic {getattr(topics, topic)} has {name.replace('_', '.')}={value} and"
        assert sentence in text.replace("\n", " "), sentence
    assert text.count("orders setup") >= len(WRONG)
    installation.set_up()
    for topic, name, value in WRONG:
        assert config_of(installation, getattr(topics, topic))[name.replace("_", ".")] != value
    installation.start_consumer()


def test_set_up_leaves_what_is_larger_than_it_must_be(installation: Installation) -> None:
    topics = installation.settings.topics
    change(installation, topics.dlq, max_message_bytes="9000000")
    change(installation, topics.results, retention_ms="-1")
    installation.set_up()
    assert config_of(installation, topics.dlq)["max.message.bytes"] == "9000000"
    assert config_of(installation, topics.results)["retention.ms"] == "-1"


def test_an_ingress_that_runs_notices_a_wrong_setting_and_that_it_was_mended(installation: Installation) -> None:
    ingress = installation.start_ingress()
    topics = installation.settings.topics
    for topic, changed in ((topics.partners, {"cleanup_policy": "delete"}), (topics.upserts, {"retention_ms": "1000"})):
        change(installation, topic, **changed)
        eventually(lambda: not ingress.is_ready)
        assert f"The topic {topic} has" in ingress.child.log.read_text()
        installation.set_up()
        eventually(lambda: ingress.is_ready)


def test_an_order_that_its_topic_is_too_small_for_is_answered_as_that(installation: Installation) -> None:
    """The topic is changed between two checks. Nothing is published, and nobody is told that sending again is safe."""
    installation.start_consumer()
    ingress = installation.start_ingress()
    token = installation.add_partner("p")
    large = [an_order(f"O-{n}", address=token_hex(1500)) for n in range(20)]
    for headers in ({}, {"Prefer": "respond-async"}):
        change(installation, installation.settings.topics.upserts, max_message_bytes="1000")
        answer = installation.post(ingress, token, large, **headers)
        assert answer.status == 503
        assert "too large" in answer.json["error"] or "not ready" in answer.json["error"]
        assert "safe" not in answer.json["error"]
        eventually(lambda: not ingress.is_ready)
        assert installation.post(ingress, token, large, **headers).status == 503
        assert installation.records(installation.settings.topics.upserts) == []
        installation.set_up()
        eventually(lambda: ingress.is_ready)
    assert installation.post(ingress, token, large).counts == (20, 0, 0)


def test_an_order_that_is_refused_beside_others_is_answered_as_that(installation: Installation) -> None:
    installation.start_consumer()
    ingress = installation.start_ingress()
    token = installation.add_partner("p")
    orders = [an_order(f"O-{n}", address=token_hex(10_000 if n == 3 else 1)) for n in range(12)]
    change(installation, installation.settings.topics.upserts, max_message_bytes="5000")
    answer = installation.post(ingress, token, orders)
    if answer.status == 503:  # it was noticed before
        assert installation.records(installation.settings.topics.upserts) == []
    else:
        assert answer.status == 500
        assert "refused the others, because they are too large" in answer.json["error"]
        assert "safe" not in answer.json["error"]
        eventually(lambda: len(installation.rows("p")) > 0)


def test_more_partitions_under_running_processes(installation: Installation) -> None:
    topic = installation.settings.topics.upserts
    consumer = installation.start_consumer()
    ingress = installation.start_ingress()
    token = installation.add_partner("p")
    admin(installation).create_partitions([NewPartitions(topic, 24)])[topic].result()
    eventually(lambda: not ingress.is_ready)
    assert installation.post(ingress, token, [an_order()]).status == 503
    assert "has 24 partitions instead of 12" in ingress.child.log.read_text()
    text = ended(consumer)
    assert f"The topic {topic} has a partition 23, and must have 12 partitions" in text
    assert "KeyError" not in text
    assert "24 partitions instead of 12" in ended(installation.start("consumer"))


def test_partners_that_are_made_again_lose_their_tokens(installation: Installation) -> None:
    ingress = installation.start_ingress()
    old = installation.add_partner("old")
    topic = installation.settings.topics.partners
    admin(installation).delete_topics([topic])[topic].result()
    eventually(lambda: topic not in admin(installation).list_topics(timeout=10).topics)
    installation.set_up()
    eventually(lambda: installation.post(ingress, old, []).status == 401)
    new = installation.add_partner("new")
    assert installation.post(ingress, new, []).status == 200
    assert installation.post(ingress, old, []).status == 401


def test_results_that_are_made_again_are_read(installation: Installation) -> None:
    installation.start_consumer()
    ingress = installation.start_ingress()
    token = installation.add_partner("p")
    assert installation.post(ingress, token, [an_order("O-1")]).counts == (1, 0, 0)
    topic = installation.settings.topics.results
    admin(installation).delete_topics([topic])[topic].result()
    eventually(lambda: topic not in admin(installation).list_topics(timeout=10).topics)
    installation.set_up()
    eventually(lambda: "was deleted and made again" in ingress.child.log.read_text() and ingress.is_ready)
    eventually(lambda: installation.post(ingress, token, [an_order("O-2")]).status == 200)


@pytest.fixture
def generous(folder: Path) -> Any:
    """A broker that makes every topic that a client asks for."""

    class Generous(KafkaBroker):
        def properties(self, log: Path) -> str:
            return super().properties(log) + "auto.create.topics.enable=true\n"

    broker = Generous(folder / "generous", free_port())
    broker.start()
    yield broker
    broker.stop()


def test_processes_that_start_before_set_up_make_no_topic_and_wait(
    generous: KafkaBroker, database: str, install: Callable[..., Installation], folder: Path
) -> None:
    running = Installation(generous.bootstrap, database, folder)
    with running.running:
        port = free_port()
        ingress = Ingress(running.start("ingress", {"ORDERS_PORT": str(port)}), port)
        eventually(lambda: "Run: orders setup" in ingress.child.log.read_text())
        eventually(lambda: _answers(port))
        assert not ingress.is_ready
        process = psutil.Process(ingress.child.pid)
        before, started_s = process.cpu_times(), time.monotonic()
        eventually(lambda: time.monotonic() - started_s > 3)  # the CPU of a reader that spins adds up
        after = process.cpu_times()
        assert (after.user + after.system) - (before.user + before.system) < 1.0
        assert "does not exist. Run: orders setup" in ended(running.start("consumer"))
        assert not set(topics_of(running)) & set(generous_names(running.settings.topics))
        running.set_up()
        eventually(lambda: ingress.is_ready)
        running.ingresses.append(ingress)
        running.start_consumer()
        assert running.post(ingress, running.add_partner("p"), [an_order()]).counts == (1, 0, 0)
        assert len(topics_of(running)[running.settings.topics.upserts].partitions) == 12


def topics_of(running: Installation) -> dict[str, Any]:
    return admin(running).list_topics(timeout=10).topics


def generous_names(topics: Topics) -> list[str]:
    return [spec.name for spec in topics.specs()]


def _answers(port: int) -> bool:
    try:
        with closing(Connection(port)):
            return json.loads(get(port, "/readyz").body)["topics_as_set_up"] is False
    except OSError:
        return False
