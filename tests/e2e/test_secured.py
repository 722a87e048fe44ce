"""The main tests once more on a Kafka with TLS and an authorizer: each role has a user with the least rights."""

import json
import shlex
import ssl
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from http.client import HTTPSConnection
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Message
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from contracts.role import Role
from contracts.settings import KafkaProperty
from deploy.local.child import Child
from deploy.local.ports import LOOPBACK, free_port
from e2e.test_asking_twice import (
    ingresses,
    post,
    test_another_body_under_the_key_is_422_and_never_applied,
    test_the_same_key_gives_the_first_counts_from_any_ingress,
)
from e2e.test_counts import (
    ingress,
    test_a_batch_is_counted_order_by_order_and_each_row_is_its_last_event,
    test_a_row_holds_every_field_and_where_it_came_from,
    test_two_partners_use_the_same_order_id_and_do_not_see_each_other,
)
from support.certificates import Authority
from support.commands import orders_here
from support.http import ORDERS_PATH
from support.installation import Ingress, Installation, headers_of
from support.orders import an_order
from support.secured_broker import ADMIN
from support.tls_broker import TlsBroker
from support.waiting import HANG_S, eventually

__all__ = [
    "ingress",
    "ingresses",
    "post",
    "test_a_batch_is_counted_order_by_order_and_each_row_is_its_last_event",
    "test_a_row_holds_every_field_and_where_it_came_from",
    "test_another_body_under_the_key_is_422_and_never_applied",
    "test_the_same_key_gives_the_first_counts_from_any_ingress",
    "test_two_partners_use_the_same_order_id_and_do_not_see_each_other",
]
READS, WRITES, CERTIFIED, WITH_TOKEN = "shop", "foreign", Role.PARTNERS, Role.OPERATOR
"""Users of a reader and of a writer; the roles that log in with a certificate, and with a token."""


@dataclass
class Secured(Installation):
    """Each process and each command has the user of its role."""

    users: Mapping[Role, Mapping[str, str]] = field(default_factory=dict)
    """By role, the variables with which it reaches Kafka."""

    def start(
        self, command: str, variables: Mapping[str, str] | None = None, program: list[str] | None = None
    ) -> Child:
        return super().start(command, {**self.users[Role(command)], **(variables or {})}, program)

    def run(self, role: Role, *command: str) -> str:
        """What an `orders` command prints."""
        done = orders_here(*command, env={**self.environment, **self.users[role]})
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout


def variables(bootstrap: str, properties: Mapping[str, KafkaProperty]) -> dict[str, str]:
    return {"ORDERS_KAFKA_BOOTSTRAP": bootstrap, "ORDERS_KAFKA_PROPERTIES": json.dumps(properties)}


@pytest.fixture(scope="module")
def broker(folder: Path) -> Iterator[TlsBroker]:
    made = TlsBroker(folder / "tls-broker", Authority(folder / "certificates"))
    made.start()
    made.add_users(*Role, READS, WRITES)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def shared_installation(broker: TlsBroker, shared_database: str, folder: Path) -> Iterator[Secured]:
    """What the tests of the other files run on. The topics are made by the user of set-up."""
    names = {role: str(role) for role in Role} | {Role.READER: READS, Role.WRITER: WRITES}
    users = {role: variables(broker.bootstrap, broker.with_password(name)) for role, name in names.items()}
    users[CERTIFIED] = variables(broker.bootstrap_of_certificates, broker.with_certificate(CERTIFIED))
    users[WITH_TOKEN] = variables(broker.bootstrap, broker.with_token(WITH_TOKEN))
    made = Secured(
        broker.bootstrap, shared_database, folder, client_properties=broker.with_password(ADMIN, "PLAIN"), users=users
    )
    for role, name in names.items():
        printed = made.run(role, "acls", "--role", role, "--principal", f"User:{name}")
        give(broker, printed.splitlines())
    made.run(Role.SETUP, "setup")
    with made.running:
        yield made


def give(broker: TlsBroker, commands: list[str]) -> None:
    """Does what these `kafka-acls` commands do: starting Java for each would take longer than all tests."""
    parser = ArgumentParser()
    for option in ("--bootstrap-server", "--allow-principal"):
        parser.add_argument(option, required=True)
    parser.add_argument("--resource-pattern-type", default="literal")
    for option in ("--operation", "--topic", "--group"):
        parser.add_argument(option, action="append", default=[])
    parser.add_argument("--add", action="store_true", required=True)
    parser.add_argument("--cluster", action="store_true")
    wanted = []
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "kafka-acls"
        asked = parser.parse_args(arguments)
        resources = [(ResourceType.TOPIC, name) for name in asked.topic]
        resources += [(ResourceType.GROUP, name) for name in asked.group]
        resources += [(ResourceType.BROKER, "kafka-cluster")] if asked.cluster else []
        wanted += [
            AclBinding(
                kind,
                name,
                ResourcePatternType[asked.resource_pattern_type.upper()],
                asked.allow_principal,
                "*",
                next(found for found in AclOperation if found.name.replace("_", "") == operation.upper()),
                AclPermissionType.ALLOW,
            )
            for kind, name in resources
            for operation in asked.operation
        ]
    admin = AdminClient(broker.client_config)
    for future in admin.create_acls(wanted).values():
        future.result()


def test_a_shop_reads_and_another_writer_writes_and_neither_may_do_more(
    broker: TlsBroker, shared_installation: Secured, ingress: Ingress
) -> None:
    topics = shared_installation.settings.topics
    writer = replace(shared_installation, client_properties=broker.with_password(WRITES))
    event = {"key": b"O-1", "value": json.dumps(an_order("O-1")), "headers": headers_of("foreign")}
    writer.produce([event])
    with pytest.raises(AssertionError, match="TOPIC_AUTHORIZATION_FAILED"):
        writer.produce([{**event, "topic": topics.dlq}])
    eventually(lambda: "O-1" in shared_installation.rows("foreign"))
    reader = Consumer(
        {
            "bootstrap.servers": broker.bootstrap,
            "group.id": f"{READS}-reports",
            "auto.offset.reset": "earliest",
            **broker.with_password(READS),
        }
    )
    try:
        reader.subscribe([topics.upserts])
        record = next_of(reader)
        assert record.error() is None
    finally:
        reader.close()
    other = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "other", **broker.with_password(READS)})
    try:
        other.subscribe([topics.upserts])
        refused = next_of(other).error()
        assert refused is not None
        assert refused.name() == "GROUP_AUTHORIZATION_FAILED"
    finally:
        other.close()


def next_of(consumer: Consumer) -> Message:
    record = eventually(lambda: consumer.poll(1))
    assert record is not None
    return record


def test_an_operator_with_a_token_may_look_and_repair(shared_installation: Secured, ingress: Ingress) -> None:
    shared_installation.wait_until_answered()
    operator = Role.OPERATOR
    said = [json.loads(line) for line in shared_installation.run(operator, "doctor", "--json").splitlines()]
    assert {finding["check"] for finding in said if finding["status"] != "ok"} <= {"brokers", "dead letters"}
    shared_installation.run(operator, "dlq", "list")
    shared_installation.run(operator, "replay", "--yes")
    shared_installation.run(operator, "replay", "--drop", "--yes")


@pytest.mark.parametrize("role", Role)
def test_the_doctor_finds_nothing_wrong_with_a_user_that_has_the_rights_of_its_role(
    shared_installation: Secured, ingress: Ingress, role: Role
) -> None:
    shared_installation.wait_until_answered()
    said = [json.loads(line) for line in shared_installation.run(role, "doctor", "--role", role, "--json").splitlines()]
    assert {finding["check"] for finding in said if finding["status"] != "ok"} <= {"brokers", "dead letters"}


def test_the_doctor_names_the_rights_that_a_role_has_and_the_user_lacks(shared_installation: Secured) -> None:
    user = shared_installation.users[Role.READER]
    done = orders_here("doctor", "--role", Role.CONSUMER, "--json", env={**shared_installation.environment, **user})
    found = {said["check"]: said["text"] for said in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 1
    assert "lacks the right" in found["kafka rights"]


def test_partners_are_added_with_a_certificate(shared_installation: Secured, ingress: Ingress) -> None:
    token = shared_installation.run(Role.PARTNERS, "partners", "add", "certified").strip()
    eventually(lambda: shared_installation.post(ingress, token, []).status == 200)


def test_an_ingress_serves_https_and_knows_partners_by_their_certificates(
    broker: TlsBroker, shared_installation: Secured, ingress: Ingress
) -> None:
    token = shared_installation.add_partner("by-certificate")
    port, authority = free_port(), broker.authority
    variables = {
        "ORDERS_PORT": str(port),
        "ORDERS_TLS_CERT": str(authority.certificate("ingress")),
        "ORDERS_TLS_CLIENT_CA": str(authority.ca),
        "ORDERS_WORKERS": "2",
    }
    shared_installation.start("ingress", variables)
    body = json.dumps({"data": [an_order("O-1")]}).encode()

    def post(certificate: Path | None, headers: dict[str, str]) -> tuple[int, bytes]:
        context = ssl.create_default_context(cafile=authority.ca)
        if certificate is not None:
            context.load_cert_chain(certificate)
        with closing(HTTPSConnection(LOOPBACK, port, context=context, timeout=HANG_S)) as connection:
            connection.request("POST", ORDERS_PATH, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    partner, stranger = (authority.certificate(name) for name in ("by-certificate", "stranger"))
    eventually(lambda: post(None, {"token": token})[0] == 200, not_yet=(OSError,))
    eventually(lambda: post(partner, {})[0] == 200)
    assert post(stranger, {"token": token})[0] == 401
    assert post(None, {})[0] == 401
    assert shared_installation.rows("by-certificate").keys() == {"O-1"}
