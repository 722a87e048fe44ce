"""What the ingress makes of odd answers of a broker."""

from collections.abc import Iterable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from contracts.access import rights_of_ingress
from contracts.topic_checks import Trouble
from ingress.broker import Broker
from ingress.settings import IngressSettings


def answered(value: Any) -> Future[Any]:
    future: Future[Any] = Future()
    if isinstance(value, Exception):
        future.set_exception(value)
    else:
        future.set_result(value)
    return future


class OddClient:
    """An AdminClient of which partition 3 has no offset, and that knows no controller."""

    def list_offsets(self, asked: Iterable[TopicPartition], request_timeout: float) -> dict[TopicPartition, Any]:
        return {item: answered(SimpleNamespace(offset=-1001 if item.partition == 3 else 7)) for item in asked}

    def describe_topics(self, topics: Any, **_: Any) -> dict[str, Any]:
        timed_out = KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return {topic: answered(timed_out) for topic in topics.topic_names}

    def poll(self, _: float) -> None:
        raise AssertionError("every answer is there")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[OddClient]:
    """The clients that were made."""
    found: list[OddClient] = []

    def make(_: Broker) -> OddClient:
        found.append(OddClient())
        return found[-1]

    monkeypatch.setattr(Broker, "_new_client", make)
    return found


def test_a_partition_without_an_offset_is_not_a_log_that_ends_there(made: list[OddClient]) -> None:
    broker = Broker(IngressSettings(kafka_bootstrap="127.0.0.1:1"))
    assert broker.find_log("orders.upserts", "id") is None
    assert len(made) == 2


def test_who_gets_no_answer_asks_by_another_client(made: list[OddClient]) -> None:
    settings = IngressSettings(kafka_bootstrap="127.0.0.1:1")
    found, _ = Broker(settings).check(rights_of_ingress(settings.topics))
    assert {problem.trouble for problem in found} == {Trouble.UNANSWERED}
    assert len(made) == 2
