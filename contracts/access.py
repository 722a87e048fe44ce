"""The rights that each process needs in Kafka, and what to say if one is missing."""

from collections.abc import Iterator, Mapping

from contracts.topics import Topics

Rights = Mapping[str, frozenset[str]]
"""By topic, the operations that a process needs, by the names of AclOperation. Each of them brings DESCRIBE."""


def rights_of_ingress(topics: Topics) -> Rights:
    return {
        topics.upserts: frozenset({"WRITE", "DESCRIBE_CONFIGS"}),
        topics.results: frozenset({"READ", "DESCRIBE_CONFIGS"}),
        topics.partners: frozenset({"READ", "DESCRIBE_CONFIGS"}),
        topics.halts: frozenset({"READ", "DESCRIBE_CONFIGS"}),
    }


def rights_of_consumer(topics: Topics) -> Rights:
    """Besides these, READ on the consumer group."""
    return {
        topics.upserts: frozenset({"READ", "DESCRIBE_CONFIGS"}),
        topics.results: frozenset({"WRITE", "DESCRIBE_CONFIGS"}),
        topics.dlq: frozenset({"READ", "WRITE", "DESCRIBE_CONFIGS"}),
        topics.halts: frozenset({"WRITE", "DESCRIBE_CONFIGS"}),
    }


def lacking(asked: str, needed: frozenset[str]) -> list[str]:
    """The rights that a user lacks whom the broker refused `asked`. READ and WRITE would have brought DESCRIBE."""
    brings_describe = sorted(needed - {"DESCRIBE_CONFIGS"})
    return brings_describe if asked == "DESCRIBE" and brings_describe else [asked]


def user_of(properties: Mapping[str, object]) -> str:
    """Who a client is to the broker, as far as its librdkafka properties tell."""
    named = properties.get("sasl.username") or properties.get("sasl.oauthbearer.client.id")
    if named:
        return str(named)
    has_certificate = any(str(name).startswith(("ssl.certificate", "ssl.keystore")) for name in properties)
    return "(that of the certificate)" if has_certificate else "ANONYMOUS"


def operation_name(right: str) -> str:
    """As `kafka-acls` spells it. `right`: of AclOperation."""
    return right.title().replace("_", "")


def lacks(user: str, right: str, resource: str, name: str) -> str:
    """`right`: of AclOperation; `resource`: topic, group or cluster; `name`: of the topic or group."""
    operation = operation_name(right)
    what = resource if resource == "cluster" else f"{resource} {name}"
    where = "--cluster" if resource == "cluster" else f"--{resource} {name}"
    return (
        f"The Kafka user {user} lacks the right {right} on the {what}. An administrator of Kafka gives it with: "
        f"kafka-acls --add --allow-principal User:{user} --operation {operation} {where}"
    )


def missing_rights(user: str, topic: str, needed: frozenset[str], has: frozenset[str] | None) -> Iterator[str]:
    """A sentence for each. A broker that does not tell is not asked again: its errors will name the topic."""
    for right in sorted(needed - (needed if has is None else has)):
        yield lacks(user, right, "topic", topic)


def not_let_in(bootstrap: str, user: str, said: str) -> str:
    """`said`: by the client library."""
    return (
        f"Kafka at {bootstrap} refuses the user {user}: {said}. Check the password and the mechanism (sasl.…) or the "
        "certificates (ssl.…) in ORDERS_KAFKA_PROPERTIES."
    )
