"""Which producer takes a request's orders. The client library is a stand-in here: no broker holds records on demand."""

from asyncio import AbstractEventLoop, Future
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest
from confluent_kafka import KafkaException

from contracts.event import HeaderWriter, RequestContext
from ingress import publisher
from ingress.publisher import LINGER_MS, Publisher
from ingress.settings import IngressSettings

REQUEST = UUID(int=1)
HEADERS = HeaderWriter(RequestContext(REQUEST, "p", datetime(2026, 1, 1, tzinfo=UTC), 1, 0))


class StandInProducer:
    """Keeps what it is given until `sent` is called."""

    def __init__(self, config: dict[str, Any], **_: Any) -> None:
        self.linger_ms: int = config["linger.ms"]
        self.only_failures: bool = config["delivery.report.only.error"]
        self.waiting: list[bytes] = []
        self.taken: list[bytes] = []

    def __len__(self) -> int:
        return len(self.waiting)

    def produce(self, topic: str, value: bytes, *_: Any, **__: Any) -> None:
        self.waiting.append(value)
        self.taken.append(value)

    def sent(self) -> None:
        self.waiting.clear()

    def poll(self, timeout_s: float) -> None: ...

    def flush(self, timeout_s: float) -> None: ...

    def list_topics(self, topic: str, timeout: float) -> Any:
        raise KafkaException


@contextmanager
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Publisher, StandInProducer, StandInProducer]]:
    """The publisher, and its prompt and its lingering producer."""
    producers: list[StandInProducer] = []

    def new(config: dict[str, Any], **about: Any) -> StandInProducer:
        producers.append(StandInProducer(config, **about))
        return producers[-1]

    monkeypatch.setattr(publisher, "Producer", new)
    settings = IngressSettings(kafka_bootstrap="127.0.0.1:1")
    running = Publisher(settings, cast(AbstractEventLoop, None), lambda _: None, lambda: None)
    prompt, lingering = [producer for producer in producers if producer.only_failures]
    assert (prompt.linger_ms, lingering.linger_ms) == (0, LINGER_MS)
    yield running, prompt, lingering
    running.stop(0)


def publish(to: Publisher, value: bytes, *, crowded: bool, acknowledged: "Future[None] | None" = None) -> None:
    to.publish(REQUEST, [(0, b"O-1", value)], HEADERS, acknowledged, crowded=crowded)


def test_records_wait_for_others_only_where_many_are_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(monkeypatch) as (to, prompt, lingering):
        for value, crowded in [(b"1", False), (b"2", True), (b"3", True), (b"4", False)]:
            publish(to, value, crowded=crowded)
            prompt.sent()
            lingering.sent()
    assert (prompt.taken, lingering.taken) == ([b"1", b"4"], [b"2", b"3"])


def test_no_record_overtakes_one_that_is_still_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(monkeypatch) as (to, prompt, lingering):
        publish(to, b"1", crowded=False)
        publish(to, b"2", crowded=True)
        prompt.sent()
        publish(to, b"3", crowded=True)
        publish(to, b"4", crowded=False)
        lingering.sent()
        publish(to, b"5", crowded=False)
    assert (prompt.taken, lingering.taken) == ([b"1", b"2", b"5"], [b"3", b"4"])
