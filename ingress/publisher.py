"""Publishes orders to Kafka with several producers. Their poll threads report mostly failures to the event loop."""

import logging
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from threading import Event as Flag
from threading import Thread
from uuid import UUID

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from contracts.access import lacks
from contracts.event import HeaderWriter
from contracts.kafka_errors import AUTHORIZATION, Verdict, verdict_of
from ingress import problems
from ingress.checked_request import Item
from ingress.errors import UnavailableError
from ingress.settings import IngressSettings

LINGER_MS = 5
"""How long a record waits for others of its partition if many orders are in flight. The broker then gets fewer and
fuller requests, and answers all of them sooner."""
_POLL_S = 0.1
_PROBE_TIMEOUT_S = 1.0
_log = logging.getLogger(__name__)


class Publisher:
    """Publishes the orders of each request.

    Calls on the loop: `on_failure(request_id)` if a record of that request is not acknowledged in time,
    `on_refused(request_id)` if Kafka did not write it and never will, and `on_fatal(why)` if a producer cannot go on.
    Calls `on_unreachable()` in a thread of its own when no broker can be reached any more, or a producer was replaced.
    """

    def __init__(
        self,
        settings: IngressSettings,
        loop: AbstractEventLoop,
        on_failure: Callable[[UUID], None],
        on_fatal: Callable[[str], None],
        on_refused: Callable[[UUID], None] = lambda _: None,
        on_unreachable: Callable[[], None] = lambda: None,
        count_failure: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`count_failure` gets Kafka's code of each order that failed, in any thread."""
        self._topic = settings.topics.upserts
        self._user = settings.kafka_user
        self._on_refused = on_refused
        self._on_unreachable = on_unreachable
        self._count_failure = count_failure
        self._loop = loop
        self._on_failure = on_failure
        self._on_fatal = on_fatal
        self._reachable = False
        self._is_fatal = False
        self._stop = Flag()
        self._prompt = _Lane(partial(self._new_producer, settings))
        self._lingering = _Lane(partial(self._new_producer, settings, linger_ms=LINGER_MS))
        self._reporting = _Lane(partial(self._new_producer, settings, only_failures=False))
        self._lanes = self._prompt, self._lingering, self._reporting
        self._in_use = self._prompt
        self._threads = [Thread(target=self._poll, args=[lane], name="publisher", daemon=True) for lane in self._lanes]
        for thread in self._threads:
            thread.start()

    def _new_producer(self, settings: IngressSettings, *, linger_ms: int = 0, only_failures: bool = True) -> Producer:
        """The report of an acknowledged record costs more than the record, so nearly all requests do without."""
        return Producer(
            settings.client_config(
                client_id="order-upsert-ingress",
                acks="all",
                enable_idempotence=True,
                partitioner="murmur2_random",
                linger_ms=linger_ms,
                compression_type="lz4",  # the events of a request have similar headers: a fifth of the bytes
                delivery_timeout_ms=int(settings.delivery_timeout_s * 1000),
                request_timeout_ms=5000,
                socket_timeout_ms=6000,
                reconnect_backoff_max_ms=1000,
                topic_metadata_refresh_interval_ms=10_000,
                # Admission sets the limit. These are wider, because a full queue could publish half of a request.
                queue_buffering_max_messages=2 * settings.in_flight_orders_max,
                queue_buffering_max_kbytes=4 * settings.in_flight_bytes_max // 1024,
                **{"delivery.report.only.error": only_failures},
            ),
            error_cb=self._on_error,
            logger=_log,
        )

    @property
    def reachable(self) -> bool:
        """Whether a broker has answered, and not all brokers have gone since."""
        return self._reachable

    def publish(
        self,
        request_id: UUID,
        items: Sequence[Item],
        headers: HeaderWriter,
        acknowledged: "Future[None] | None" = None,
        *,
        crowded: bool = False,
    ) -> None:
        """Hands every order of a request to the client library. Raises UnavailableError if the first one fails.

        If a later one fails, some orders may be applied. That is a failed delivery: 504, never 503. `acknowledged` is
        done when all in-sync replicas have every order. `crowded`: many orders are in flight, so lingering pays.
        """
        lane = self._reporting
        on_delivery: Callable[[KafkaError | None, Message], None] = partial(self._on_delivery, request_id)
        if acknowledged is None:
            lane = self._choose_lane(crowded)
        else:
            on_delivery = _Acknowledgements(len(items), on_delivery, partial(self._set_done, acknowledged))
        producer = lane.producer
        for position, (index, key, value) in enumerate(items):
            try:
                producer.produce(self._topic, value, key, headers=headers.headers(index), on_delivery=on_delivery)
            except (BufferError, KafkaException) as error:
                self._count_failure("_QUEUE_FULL" if isinstance(error, BufferError) else error.args[0].name())
                if position == 0:
                    raise UnavailableError(problems.KAFKA_DOES_NOT_ACCEPT) from error
                _log.error("request %s is only partly published: %s", request_id, error)
                self._on_failure(request_id)
                return

    def stop(self, timeout_s: float) -> None:
        """Waits until every record is acknowledged or failed, but at most `timeout_s` for each producer."""
        for lane in self._lanes:
            with suppress(KafkaException):  # a fatal error was told before
                lane.producer.flush(timeout_s)
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _choose_lane(self, crowded: bool) -> "_Lane":
        """Changes the lane only if the one in use has no record in flight, so that no order overtakes another."""
        wanted = self._lingering if crowded else self._prompt
        if wanted is not self._in_use and len(self._in_use.producer) == 0:
            self._in_use = wanted
        return self._in_use

    def _poll(self, lane: "_Lane") -> None:
        """The client library raises what is fatal to a producer."""
        try:
            while not self._stop.is_set():
                try:
                    lane.producer.poll(_POLL_S)
                except KafkaException as error:
                    self._replace(lane, error.args[0])
                if lane is self._prompt and not self._reachable:
                    self._probe()
        except Exception as error:  # noqa: BLE001 - whatever ends a thread ends the process
            _log.error("a thread of the publisher ended", exc_info=True)
            self._loop.call_soon_threadsafe(self._on_fatal, f"The publisher ended: {error!r}")

    def _replace(self, lane: "_Lane", error: KafkaError) -> None:
        """Another producer takes the place of one that failed for good. Requests in flight fail: 504.

        It happens if Kafka was put back: the broker does not know the producer's last records. So the log is doubted.
        """
        if verdict_of(error.name()) is Verdict.STOP:
            self._end(error)
            return
        _log.error("a producer failed for good, another one takes its place: %s", error.str())
        old = lane.renew()
        self._on_unreachable()
        old.purge()
        while len(old):
            with suppress(KafkaException):
                old.poll(_POLL_S)

    def _end(self, error: KafkaError) -> None:
        _log.error("the producer failed for good: %s", error.str())
        self._reachable = False
        self._is_fatal = True
        why = f"The Kafka producer failed for good: {error.str()}. Start this process again."
        if error.name() in AUTHORIZATION:
            why = lacks(self._user, "WRITE", "topic", self._topic)
        self._loop.call_soon_threadsafe(self._on_fatal, why)

    def _probe(self) -> None:
        try:
            topic = self._prompt.producer.list_topics(self._topic, timeout=_PROBE_TIMEOUT_S).topics[self._topic]
        except KafkaException:
            self._stop.wait(_POLL_S)
            return
        if topic.error is not None or self._is_fatal:  # TopicWatch says what is wrong with the topic
            self._stop.wait(_PROBE_TIMEOUT_S)
            return
        _log.info("Kafka is reachable")
        self._reachable = True

    def _on_error(self, error: KafkaError) -> None:
        """Runs in the poll thread."""
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            _log.warning("Kafka is not reachable: %s", error.str())
            self._reachable = False
            self._on_unreachable()
        else:
            _log.warning("Kafka: %s", error.str())

    def _on_delivery(self, request_id: UUID, error: KafkaError | None, _: Message) -> None:
        """Runs in the poll thread, for failures only."""
        if error is not None:
            self._count_failure(error.name())
            _log.warning("a record of request %s was not acknowledged: %s", request_id, error.str())
            is_refused = verdict_of(error.name()) is Verdict.RECORD
            self._loop.call_soon_threadsafe(self._on_refused if is_refused else self._on_failure, request_id)

    def _set_done(self, acknowledged: "Future[None]") -> None:
        self._loop.call_soon_threadsafe(acknowledged.set_result, None)


class _Lane:
    """One producer at a time."""

    def __init__(self, make: Callable[[], Producer]) -> None:
        self._make = make
        self.producer = make()

    def renew(self) -> Producer:
        """Gives the producer that was in use."""
        old, self.producer = self.producer, self._make()
        return old


class _Acknowledgements:
    """Counts the acknowledged orders of one request, in the poll thread. Calls `on_all` after the last one."""

    def __init__(
        self, missing: int, on_failure: Callable[[KafkaError | None, Message], None], on_all: Callable[[], None]
    ) -> None:
        self._missing = missing
        self._on_failure = on_failure
        self._on_all = on_all

    def __call__(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._on_failure(error, message)
            return
        self._missing -= 1
        if not self._missing:
            self._on_all()
