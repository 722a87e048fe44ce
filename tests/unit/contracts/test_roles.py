"""The commands give each role the rights that its process checks, and no others."""

import shlex

import pytest

from contracts.access import rights_of_consumer, rights_of_ingress
from contracts.role import Role
from contracts.roles import acl_commands, rights_of
from contracts.topics import Topics

TOPICS = Topics("shop")


def commands(role: Role, principal: str = "User:x") -> list[str]:
    return acl_commands(rights_of(role, TOPICS), principal, "kafka:9092")


def test_the_commands_of_an_ingress() -> None:
    start = "kafka-acls --bootstrap-server kafka:9092 --add --allow-principal User:x"
    assert commands(Role.INGRESS) == [
        f"{start} --operation DescribeConfigs --operation Write --topic shop.upserts",
        f"{start} --operation DescribeConfigs --operation Read --topic shop.results --topic shop.partners "
        "--topic shop.halts",
    ]


def test_a_process_has_the_rights_that_it_checks_and_its_group() -> None:
    assert rights_of(Role.INGRESS, TOPICS).topics == rights_of_ingress(TOPICS)
    assert rights_of(Role.CONSUMER, TOPICS).topics == rights_of_consumer(TOPICS)
    assert commands(Role.CONSUMER)[-1].endswith("--operation Read --group shop.upserts.consumer")


def test_a_reader_has_groups_of_its_own_and_writes_nothing() -> None:
    told = "\n".join(commands(Role.READER, "User:my-shop"))
    assert "--group my-shop --resource-pattern-type prefixed" in told
    assert "Write" not in told


@pytest.mark.parametrize("role", Role)
def test_nobody_but_who_needs_it_may_write_events_or_make_tokens(role: Role) -> None:
    writes = {topic for topic, rights in rights_of(role, TOPICS).topics.items() if rights & {"WRITE", "ALL"}}
    assert (TOPICS.upserts in writes) == (role in {Role.INGRESS, Role.OPERATOR, Role.WRITER})
    assert (TOPICS.partners in writes) == (role is Role.PARTNERS)
    assert (TOPICS.dlq in writes) == (role in {Role.CONSUMER, Role.OPERATOR})


def test_a_strange_name_stays_one_word_of_the_shell() -> None:
    (command, *_) = commands(Role.WRITER, "User:CN=a b,O='x'; rm -rf")
    assert shlex.split(command)[5] == "User:CN=a b,O='x'; rm -rf"
