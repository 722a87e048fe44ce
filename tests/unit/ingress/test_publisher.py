"""Which producer takes a request's orders.

The producers are real. Their broker accepts connections and says nothing, so they keep what they are given.
"""

import asyncio
import socket
from asyncio import Future
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from contracts.event import HeaderWriter, RequestContext
from deploy.local.ports import LOOPBACK
from ingress import publisher
from ingress.publisher import Publisher
from ingress.settings import IngressSettings
from support.waiting import HANG_S, eventually

REQUEST = UUID(int=1)
HEADERS = HeaderWriter(RequestContext(REQUEST, "p", 1, 0))


class Running:
    """A publisher, and how many records are on their way in its prompt and in its lingering producer."""

    def __init__(self, loop: asyncio.AbstractEventLoop, port: int) -> None:
        patient = {"api.version.request.timeout.ms": int(HANG_S * 1000)}  # an error would count as on its way too
        settings = IngressSettings(kafka_bootstrap=f"{LOOPBACK}:{port}", kafka_properties=patient)
        self.failed: list[UUID] = []
        self.fatal: list[str] = []
        self.doubts: list[bool] = []
        self.codes: list[str] = []
        self.publisher = Publisher(
            settings,
            loop,
            self.failed.append,
            self.fatal.append,
            on_unreachable=lambda: self.doubts.append(True),
            count_failure=self.codes.append,
        )
        self.loop = loop

    def publish(self, *, crowded: bool, acknowledged: "Future[None] | None" = None) -> None:
        self.publisher.publish(REQUEST, [(0, b"O-1", b"{}")], HEADERS, acknowledged, crowded=crowded)

    @property
    def on_their_way(self) -> tuple[int, int]:
        return len(self.publisher._prompt.producer), len(self.publisher._lingering.producer)

    def prompt_ones_end(self) -> None:
        _end_all(self.publisher._prompt.producer)

    def lingering_ones_end(self) -> None:
        _end_all(self.publisher._lingering.producer)


def _end_all(producer: Producer) -> None:
    """As if they had been delivered: nothing is on its way any more."""
    producer.purge()
    while len(producer):
        producer.poll(0.01)


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(publisher, "_PROBE_TIMEOUT_S", 0.01)
    with socket.create_server((LOOPBACK, 0)) as silent, closing(asyncio.new_event_loop()) as loop:
        running = Running(loop, silent.getsockname()[1])
        yield running
        running.prompt_ones_end()
        running.lingering_ones_end()
        running.publisher.stop(0)


class FatalProducer(Producer):
    """Fails for good once, when it is told to."""

    told: KafkaError | None = None

    def poll(self, *arguments: Any, **named: Any) -> Any:
        if self.told is not None:
            told, self.told = self.told, None
            raise KafkaException(told)
        return super().poll(*arguments, **named)


def fail_for_good(running: Running, code: int) -> None:
    producer = running.publisher._prompt.producer
    assert isinstance(producer, FatalProducer)
    producer.told = KafkaError(code, "told to", fatal=True)


def until_heard(running: Running, condition: Callable[[], object]) -> None:
    eventually(lambda: running.loop.run_until_complete(asyncio.sleep(0)) or condition())


@pytest.fixture
def fatal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "Producer", FatalProducer)


@pytest.mark.usefixtures("fatal")
def test_a_producer_that_failed_for_good_is_replaced_and_its_requests_fail(running: Running) -> None:
    """The broker knows less than the producer: Kafka was put back. The process goes on, and doubts the log."""
    running.publish(crowded=False)
    fail_for_good(running, KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER)
    until_heard(running, lambda: running.failed)
    assert running.failed == [REQUEST]
    assert (running.fatal, running.doubts, running.codes) == ([], [True], ["_PURGE_QUEUE"])
    running.publish(crowded=False)
    assert running.on_their_way == (1, 0)


@pytest.mark.usefixtures("fatal")
def test_a_producer_that_nothing_mends_ends_the_process(running: Running) -> None:
    fail_for_good(running, KafkaError.TOPIC_AUTHORIZATION_FAILED)
    until_heard(running, lambda: running.fatal)
    assert "WRITE" in running.fatal[0]


def test_records_wait_for_others_only_if_many_are_in_flight(running: Running) -> None:
    for crowded, expected in [(False, (1, 0)), (True, (0, 1)), (True, (0, 1)), (False, (1, 0))]:
        running.publish(crowded=crowded)
        assert running.on_their_way == expected
        running.prompt_ones_end()
        running.lingering_ones_end()


def test_no_record_overtakes_one_that_is_still_on_its_way(running: Running) -> None:
    running.publish(crowded=False)
    running.publish(crowded=True)
    assert running.on_their_way == (2, 0)
    running.prompt_ones_end()
    running.publish(crowded=True)
    running.publish(crowded=False)
    assert running.on_their_way == (0, 2)
    running.lingering_ones_end()
    running.publish(crowded=False)
    assert running.on_their_way == (1, 0)
