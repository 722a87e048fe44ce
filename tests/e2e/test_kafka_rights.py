"""A wrong password and a missing right: which user, which right, on what, within 10 s, and never "A bug"."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import ResourceType  # type: ignore[attr-defined]

from contracts.access import rights_of_consumer, rights_of_ingress
from contracts.settings import KafkaSettings
from contracts.topics import Topics
from deploy.admin import RefusedError, call_broker, reach
from deploy.errors import SetupError
from deploy.local.ports import free_port
from deploy.setup import set_up_topics
from support.commands import orders_here
from support.installation import Ingress, Installation
from support.orders import an_order
from support.secured_broker import ADMIN, SecuredBroker, sasl
from support.waiting import eventually

ANSWER_S = 10.0
TOPIC, GROUP = ResourceType.TOPIC, ResourceType.GROUP
ROLES = {"ingress": rights_of_ingress, "consumer": rights_of_consumer}


@pytest.fixture(scope="module")
def broker(folder: Path) -> Iterator[SecuredBroker]:
    made = SecuredBroker(folder / "secured", free_port())
    made.start()
    yield made
    made.stop()


@pytest.fixture
def secured(broker: SecuredBroker, database: str, folder: Path) -> Iterator[Installation]:
    """Topics, set up by the admin; the users `ingress` and `consumer` with exactly the rights that they need."""
    installation = Installation(broker.bootstrap, database, folder)
    topics = installation.settings.topics
    with installation.running:
        set_up_topics(settings_of(installation, ADMIN), None)
        for user, rights_of in ROLES.items():
            broker.forbid_all(user)
            for topic, rights in rights_of(topics).items():
                broker.allow(user, TOPIC, topic, *rights)
        broker.allow("consumer", GROUP, topics.consumer_group, "READ")
        broker.forbid_all("reader")
        yield installation


def properties(user: str, password: str = "") -> dict[str, str]:
    return {"ORDERS_KAFKA_PROPERTIES": json.dumps(sasl(user, password))}


def settings_of(installation: Installation, user: str) -> KafkaSettings:
    return KafkaSettings(
        kafka_bootstrap=installation.bootstrap, topic_prefix=installation.prefix, kafka_properties=sasl(user)
    )


def said(installation: Installation, user: str, *command: str, password: str = "") -> str:
    """What a command says that cannot be done."""
    started_s = time.monotonic()
    done = orders_here(*command, env={**installation.environment, **properties(user, password)})
    assert time.monotonic() - started_s < ANSWER_S
    assert done.returncode == 1, done.stdout
    assert "A bug" not in done.stderr
    return done.stderr


def ended(
    installation: Installation, process: str, user: str, password: str = "", variables: dict[str, str] | None = None
) -> str:
    """What a process says that cannot go on."""
    started_s = time.monotonic()
    child = installation.start(
        process, {"ORDERS_PORT": str(free_port()), **properties(user, password), **(variables or {})}
    )
    eventually(lambda: child.exit_code is not None)
    assert time.monotonic() - started_s < ANSWER_S
    assert child.exit_code == 1
    text = child.log.read_text()
    assert "A bug" not in text
    assert "Traceback" not in text
    return text


COMMANDS = [
    ["setup"],
    ["partners", "list"],
    ["partners", "add", "p"],
    ["partners", "revoke", "p", "k"],
    ["dlq", "list"],
    ["dlq", "redrive", "--yes"],
    ["dlq", "discard", "--yes"],
    ["history", "O-1"],
    ["replay", "--yes"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_wrong_password_is_told_by_every_command(secured: Installation, command: list[str]) -> None:
    text = said(secured, "ingress", *command, password="wrong")
    assert f"Kafka at {secured.bootstrap} refuses the user ingress" in text
    assert "ORDERS_KAFKA_PROPERTIES" in text


@pytest.mark.parametrize("process", ["ingress", "consumer"])
def test_a_wrong_password_ends_a_process(secured: Installation, process: str) -> None:
    assert f"Kafka at {secured.bootstrap} refuses the user {process}" in ended(secured, process, process, "wrong")


def test_a_supervisor_ends_too(secured: Installation) -> None:
    """Its workers would end one after the other."""
    text = ended(secured, "ingress", "ingress", "wrong", {"ORDERS_WORKERS": "2"})
    assert f"Kafka at {secured.bootstrap} refuses the user ingress" in text


def test_with_the_rights_that_are_named_and_no_others_everything_works(secured: Installation) -> None:
    secured.start_consumer(properties("consumer"))
    secured.start_ingress(properties("ingress"))
    (ingress,) = secured.ingresses
    added = orders_here("partners", "add", "p", env={**secured.environment, **properties(ADMIN)})
    token = added.stdout.strip()
    eventually(lambda: secured.post(ingress, token, []).status == 200)
    orders = [an_order("O-1"), an_order("O-2"), an_order("O-1")]
    assert secured.post(ingress, token, orders).counts == (2, 0, 1)
    assert secured.rows("p").keys() == {"O-1", "O-2"}


RIGHTS = [
    (user, topic, right)
    for user, rights_of in ROLES.items()
    for topic, rights in rights_of(Topics("x")).items()
    for right in sorted(rights)
]


@pytest.mark.parametrize(("user", "topic", "right"), RIGHTS)
def test_a_right_that_a_process_lacks_is_named(
    broker: SecuredBroker, secured: Installation, user: str, topic: str, right: str
) -> None:
    name = topic.replace("x.", f"{secured.prefix}.", 1)
    broker.forbid(user, TOPIC, name, right)
    text = ended(secured, user, user)
    assert f"The Kafka user {user} lacks the right {right} on the topic {name}" in text
    assert f"kafka-acls --add --allow-principal User:{user} --operation" in text


def test_a_consumer_without_its_group_is_told(broker: SecuredBroker, secured: Installation) -> None:
    group = secured.settings.topics.consumer_group
    broker.forbid("consumer", GROUP, group, "READ")
    assert f"The Kafka user consumer lacks the right READ on the group {group}" in ended(
        secured, "consumer", "consumer"
    )


@pytest.mark.parametrize(
    ("command", "topic", "rights"),
    [
        (["partners", "list"], "partners", ["READ"]),
        (["partners", "add", "p"], "partners", ["READ", "WRITE"]),
        (["dlq", "list"], "dlq", ["READ"]),
        (["dlq", "redrive", "--yes"], "dlq", ["READ", "WRITE"]),
        (["history", "O-1"], "upserts", ["READ"]),
    ],
)
def test_a_right_that_a_command_lacks_is_named(
    broker: SecuredBroker, secured: Installation, command: list[str], topic: str, rights: list[str]
) -> None:
    name = getattr(secured.settings.topics, topic)
    text = said(secured, "reader", *command)
    for right in rights:
        assert f"The Kafka user reader lacks the right {right} on the topic {name}" in text.replace("\n", " ")
    broker.allow("reader", TOPIC, name, "DESCRIBE")
    assert f"lacks the right {rights[-1]} on the topic {name}" in said(secured, "reader", *command).replace("\n", " ")


def test_rights_that_set_up_lacks_are_named(broker: SecuredBroker, secured: Installation) -> None:
    broker.forbid_all("setup")
    topics = secured.settings.topics
    assert f"The Kafka user setup lacks the right DESCRIBE on the topic {topics.upserts}" in said(
        secured, "setup", "setup"
    ).replace("\n", " ")
    secured.prefix += "new"
    topics = secured.settings.topics
    for spec in topics.specs():
        broker.allow("setup", TOPIC, spec.name, "DESCRIBE", "DESCRIBE_CONFIGS")
    assert "The Kafka user setup lacks the right CREATE on the topic" in said(secured, "setup", "setup").replace(
        "\n", " "
    )


def test_a_right_that_is_taken_from_a_running_ingress(broker: SecuredBroker, secured: Installation) -> None:
    ingress = secured.start_ingress(properties("ingress"))
    broker.forbid("ingress", TOPIC, secured.settings.topics.results, "READ")
    eventually(lambda: not ingress.is_ready)
    assert ingress.child.exit_code is None
    assert f"lacks the right READ on the topic {secured.settings.topics.results}" in ingress.child.log.read_text()
    broker.allow("ingress", TOPIC, secured.settings.topics.results, "READ")
    eventually(lambda: ingress.is_ready)


def test_a_right_that_is_taken_from_a_running_consumer(broker: SecuredBroker, secured: Installation) -> None:
    consumer = secured.start_consumer(properties("consumer"))
    name = secured.settings.topics.upserts
    broker.forbid("consumer", TOPIC, name, "READ")
    eventually(lambda: consumer.exit_code is not None)
    assert consumer.exit_code == 1
    assert f"The Kafka user consumer lacks the right READ on the topic {name}" in consumer.log.read_text()


def test_a_producer_that_fails_for_good_ends_the_ingress(broker: SecuredBroker, secured: Installation) -> None:
    """The client library raises that error, and tells no callback of it."""
    broker.forbid("ingress", TOPIC, secured.settings.topics.upserts, "WRITE")
    port = free_port()
    ingress = Ingress(secured.start("ingress", {"ORDERS_PORT": str(port), **properties("ingress")}), port)
    eventually(lambda: ingress.child.exit_code is not None)
    assert "lacks the right WRITE" in ingress.child.log.read_text()


def test_a_call_that_is_refused_is_told_apart(secured: Installation) -> None:
    settings = settings_of(secured, "nobody")
    topic = settings.topics.upserts
    client = reach(settings, {}).client

    def ask() -> Any:
        error = client.list_topics(topic, timeout=5).topics[topic].error
        if error is not None:
            raise KafkaException(error)

    with pytest.raises(RefusedError):
        call_broker(settings, ask)
    with pytest.raises(SetupError, match="lacks the right READ"):
        reach(settings, {topic: frozenset({"READ"})})
