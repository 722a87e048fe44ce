"""What a consumer makes of odd answers about its log."""

from collections.abc import Iterable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from consumer.kafka import log_watch
from consumer.kafka.log_watch import LogWatch
from contracts.settings import KafkaSettings


def answered(value: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(value)
    return future


class OddClient:
    """An AdminClient of which partition 3 has no offset."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def describe_topics(self, topics: Any, **_: Any) -> dict[str, Any]:
        return {topic: answered(SimpleNamespace(topic_id="id")) for topic in topics.topic_names}

    def list_offsets(self, asked: Iterable[TopicPartition], **_: Any) -> dict[TopicPartition, Any]:
        return {item: answered(SimpleNamespace(offset=-1001 if item.partition == 3 else 0)) for item in asked}


def test_a_partition_without_an_offset_is_not_a_log_that_ends_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_watch, "AdminClient", OddClient)
    settings = KafkaSettings(kafka_bootstrap="127.0.0.1:1")
    watch = LogWatch(settings)
    watch.ask({2: 0, 3: 0})
    assert watch.is_answered()
    watch.require_same_log((settings.topics.upserts, "id"))
    assert watch.ends == {}
