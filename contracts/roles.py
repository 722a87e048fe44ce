"""The least rights in Kafka of each role that works with the topics, and the commands that give them. Pure."""

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from contracts.access import Rights, operation_name, rights_of_consumer, rights_of_ingress
from contracts.role import Role
from contracts.topics import Topics

_READ, _WRITE, _CONFIGS = "READ", "WRITE", "DESCRIBE_CONFIGS"


@dataclass(frozen=True)
class RoleRights:
    """Operations by the names of AclOperation. `cluster`: on the cluster itself."""

    topics: Rights
    groups: Rights = field(default_factory=dict)
    cluster: frozenset[str] = frozenset()
    own_groups: frozenset[str] = frozenset()
    """On all groups whose names begin with the user's."""


def rights_of(role: Role, topics: Topics) -> RoleRights:
    """What `role` needs, and no more."""
    match role:
        case Role.INGRESS:
            return RoleRights(rights_of_ingress(topics))
        case Role.CONSUMER:
            return RoleRights(rights_of_consumer(topics), {topics.consumer_group: frozenset({_READ})})
        case Role.SETUP:
            all_of = frozenset({"CREATE", "DESCRIBE", _CONFIGS, "ALTER_CONFIGS"})
            return RoleRights({spec.name: all_of for spec in topics.specs()})
        case Role.PARTNERS:
            return RoleRights({topics.partners: frozenset({_READ, _WRITE})})
        case Role.OPERATOR:
            seen = {spec.name: frozenset({"DESCRIBE", _CONFIGS}) for spec in topics.specs()}
            changed = dict.fromkeys((topics.upserts, topics.dlq), frozenset({_READ, _WRITE, _CONFIGS}))
            told = {topics.halts: frozenset({_WRITE, _CONFIGS})}
            return RoleRights({**seen, **changed, **told}, cluster=frozenset({"DESCRIBE", _CONFIGS}))
        case Role.READER:
            return RoleRights({topics.upserts: frozenset({_READ})}, own_groups=frozenset({_READ}))
        case Role.WRITER:
            return RoleRights({topics.upserts: frozenset({_WRITE}), topics.results: frozenset({_READ})})


def acl_commands(needed: RoleRights, principal: str, bootstrap: str) -> list[str]:
    """`kafka-acls` commands for a shell, one for all topics with equal rights. `principal`: as `User:ingress`."""
    start = ["kafka-acls", "--bootstrap-server", bootstrap, "--add", "--allow-principal", principal]
    alike: dict[frozenset[str], list[str]] = {}
    for topic, operations in needed.topics.items():
        alike.setdefault(operations, []).append(topic)
    ends = [[*_operations(operations), *_each("--topic", topics)] for operations, topics in alike.items()]
    ends += [[*_operations(operations), "--group", group] for group, operations in needed.groups.items()]
    if needed.own_groups:
        name = principal.partition(":")[2]
        ends.append([*_operations(needed.own_groups), "--group", name, "--resource-pattern-type", "prefixed"])
    if needed.cluster:
        ends.append([*_operations(needed.cluster), "--cluster"])
    return [shlex.join([*start, *end]) for end in ends]


def _operations(operations: Iterable[str]) -> Iterator[str]:
    return _each("--operation", map(operation_name, sorted(operations)))


def _each(option: str, values: Iterable[str]) -> Iterator[str]:
    for value in values:
        yield from (option, value)
