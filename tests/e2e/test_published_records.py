"""Every record that the running system writes is as the published schemas say."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Message
from jsonschema import Draft7Validator

from contracts.event import ReplyTo
from contracts.partitioner import partition_of
from deploy.asyncapi.document import readable
from deploy.asyncapi.schemas import schemas
from support.commands import orders_here
from support.installation import Installation, headers_of, texts
from support.orders import an_order

VALIDATORS = {name: Draft7Validator(schema) for name, schema in schemas().items()}
NOT_WRITTEN = {"ce_time", "content-type", "kafka_correlationId", "kafka_replyTopic"}
"""The ingress wrote them before version 2.0 of the contract; others may."""
TRACEPARENT = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


@pytest.fixture(scope="module")
def recorded(shared_installation: Installation) -> Installation:
    """Topics with a record of every form that the system writes today."""
    running = shared_installation
    running.sql("ALTER TABLE orders ADD CONSTRAINT not_mallory CHECK (name <> 'Mallory')")
    running.start_consumer()
    ingress = running.start_ingress()
    token = running.add_partner("acme")
    posted = [an_order("S-1"), an_order("S-2", phone=None, total_qty=None), an_order("S-1"), an_order("S-3", name=" ")]
    assert running.post(ingress, token, posted, traceparent=TRACEPARENT).counts == (2, 0, 2)
    assert running.post(ingress, token, [an_order("S-1", name="Bob")], Idempotency_Key="k").counts == (0, 1, 0)
    assert running.post(ingress, token, [an_order("S-4", name="Mallory")]).counts == (0, 0, 1)

    def foreign(order_id: str, **changes: Any) -> dict[str, Any]:
        order = json.dumps(an_order(order_id, discount=changes.pop("discount", 0)))
        return {"key": order_id, "value": order, "headers": headers_of("shop"), **changes}

    reply_to, asked_twice = ReplyTo(running.settings.topics.results, 3), uuid4()
    first, other = (headers_of("shop", 0, asked_twice, reply_to, digest=digit * 32) for digit in "ab")
    wrong_partition = (partition_of(b"F-5", 12) + 1) % 12
    for records in (
        [foreign("F-1", headers=first)],
        [foreign("F-1", headers=first), foreign("F-1", headers=other)],  # the stored outcome, and a conflict
        [foreign("F-2", discount=-1), foreign("F-3", value=b"\xff"), foreign("F-4", headers=None)],
        [foreign("F-5", partition=wrong_partition)],
    ):
        running.produce(records)
        running.wait_until_answered()
    running.sql("ALTER TABLE orders DROP CONSTRAINT not_mallory")
    for command in (
        ["redrive", "--reason", "not_mallory"],
        ["redrive", "--order", "F-5"],
        ["discard", "--order", "F-2"],
        ["reopen", "--order", "F-2"],
    ):
        done = orders_here("dlq", *command, "--yes", env=running.environment)
        assert done.returncode == 0, done.stderr
    running.wait_until_answered()
    assert running.rows("acme").keys() == {"S-1", "S-2", "S-4"}
    return running


def events(recorded: Installation, wanted: Callable[[dict[str, str]], bool]) -> list[Message]:
    found = [record for record in recorded.records(recorded.settings.topics.upserts) if wanted(texts(record))]
    assert found
    return found


def validate(record: Message, headers: str, value: str | None = None) -> None:
    said: Any = record.headers()
    VALIDATORS[headers].validate(readable(said))
    if value is not None:
        VALIDATORS[value].validate(json.loads(record.value() or b""))


def test_what_the_ingress_wrote(recorded: Installation) -> None:
    found = events(recorded, lambda headers: headers.get("ce_source") == "/partners/acme")
    for record in found:
        validate(record, "event-headers", "order")
        validate(record, "ingress-event-headers", "canonical-order")
    seen = {name for record in found for name in texts(record)}
    assert seen == schemas()["event-headers"]["properties"].keys() - NOT_WRITTEN, "a header that no record here has"


def test_what_was_redriven(recorded: Installation) -> None:
    found = events(recorded, lambda headers: "ce_originoffset" in headers)
    assert {record.key() for record in found} == {b"S-4", b"F-5"}
    for record in found:
        validate(record, "event-headers", "order")


def test_outcomes(recorded: Installation) -> None:
    found = recorded.records(recorded.settings.topics.results)
    seen: set[str] = set()
    for record in found:
        value = json.loads(record.value() or b"")
        if record.key() is None:  # of several requests that were applied together
            VALIDATORS["results"].validate(value)
        else:
            validate(record, "result-headers", "result")
            assert value["request_id"].encode() == record.key()
        seen.update(*value.get("results", [value]))
    assert seen == schemas()["result"]["properties"].keys(), "a field that no record of this test has"


def test_dead_letters_and_notes(recorded: Installation) -> None:
    letters, notes = [], []
    for record in recorded.records(recorded.settings.topics.dlq):
        if "orders_letter_settled" in texts(record):
            notes.append(record)
            validate(record, "settled-letter-headers")
            assert record.value() is None
        else:
            letters.append(texts(record)["__connect.errors.exception.class.name"])
            validate(record, "dead-letter-headers")
    assert set(letters) == {
        *("RefusedByPostgres", "IdempotencyConflict", "InvalidOrder", "Violation", "RecordError", "MisplacedKey")
    }
    assert {texts(record)["orders_letter_settled"] for record in notes} == {"redriven", "discarded", "reopened"}
