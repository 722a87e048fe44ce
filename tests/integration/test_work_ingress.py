"""What a request costs the ingress and Kafka, in counts, as test_work_consumer.py does it for the consumer.

The whole way of a request on a real broker, in this process: ASGI application, producer, and the reply on its way back.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import Context
from typing import Any, TypeVarTuple

from confluent_kafka import Consumer, Message, TopicPartition
from starlette.types import ASGIApp

from bench.sample import order_template
from consumer.core.replies import Reply, result_records
from consumer.kafka.message import record_of
from consumer.kafka.producer import AcknowledgedProducer
from contracts.event import read_headers
from contracts.ledger_reader import NoLedger
from contracts.result import Outcome, encode_outcomes, outcomes_of
from contracts.topics import UPSERT_PARTITIONS
from ingress.admission import Admission
from ingress.orders import ORDERS_PATH
from ingress.routes import create_app
from ingress.settings import IngressSettings
from support.installation import Installation
from support.waiting import HANG_S
from support.work import Figures, calls, check, record_bytes

# Calls: of our own code on the event loop (support/work.py), from the head of a request to the end of its answer, for
# each order. Hand-overs: from other threads to the event loop, for each request. Messages: records in orders.upserts,
# and their bytes without compression for each order.
BUDGET = """
a request  calls_per_order  hand_overs  messages  message_bytes_per_order  answer_bytes
of 1                   217           1         1                      554           146
of 100                19.9           1       100                    553.1           150
of 500                18.2           1       500                      554           150
"""
ORDERS = 1, 100, 500
REQUESTS = 3
"""Of each size. The one with the fewest calls counts: what else the process does meanwhile only adds some."""
FIRST_NUMBER = 1_000_000  # so that every number has the same digits
Arguments = TypeVarTuple("Arguments")


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts what other threads hand over."""

    hand_overs = 0

    def call_soon_threadsafe(
        self, callback: Callable[[*Arguments], object], *args: *Arguments, context: Context | None = None
    ) -> asyncio.Handle:
        self.hand_overs += 1
        return super().call_soon_threadsafe(callback, *args, context=context)


@asynccontextmanager
async def started(app: ASGIApp) -> AsyncIterator[None]:
    """As a server does."""
    told: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    said: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    running = asyncio.ensure_future(app({"type": "lifespan", "state": {}}, told.get, said.put))
    await told.put({"type": "lifespan.startup"})
    assert (await said.get())["type"] == "lifespan.startup.complete"
    yield
    await told.put({"type": "lifespan.shutdown"})
    await running


async def ask(app: ASGIApp, scope: dict[str, Any], body: bytes = b"") -> tuple[int, bytes]:
    """The status and the body of the answer."""
    answer: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: MutableMapping[str, Any]) -> None:
        answer.append(message)

    await app({"type": "http", "state": {}, **scope}, receive, send)
    return answer[0]["status"], b"".join(message.get("body", b"") for message in answer)


async def ready(app: ASGIApp) -> None:
    """A server listens after 3 s, ready or not, and on a busy machine it is not."""
    scope = {"method": "GET", "path": "/readyz", "headers": [], "query_string": b""}
    async with asyncio.timeout(HANG_S):
        while (await ask(app, scope))[0] != 200:
            await asyncio.sleep(0.01)


async def post(app: ASGIApp, token: str, body: bytes) -> bytes:
    """The body of the answer."""
    scope = {"method": "POST", "path": ORDERS_PATH, "headers": [(b"token", token.encode())]}
    status, answer = await ask(app, scope, body)
    assert status == 200, answer
    return answer


def request_body(orders: int, number: int) -> bytes:
    templates = [order_template(random.Random(seed), products=2) for seed in range(16)]
    texts = [templates[n % 16] % (FIRST_NUMBER + orders * number + n, FIRST_NUMBER) for n in range(orders)]
    return f'{{"data":[{",".join(texts)}]}}'.encode()


class StandInConsumer:
    """Answers a request with one result record when all of it is in the topic."""

    def __init__(self, installation: Installation, consumer: Consumer) -> None:
        self._consumer = consumer
        self._producer = AcknowledgedProducer(installation.settings)
        self._results = installation.settings.topics.results
        topic = installation.settings.topics.upserts
        consumer.assign([TopicPartition(topic, partition, 0) for partition in range(UPSERT_PARTITIONS)])

    def answer(self, orders: int) -> list[Message]:
        """Returns the messages that it read."""
        messages = self._consumer.consume(orders, HANG_S)
        read = [read_headers(record_of(message).headers) for message in messages]
        context, _ = read[0]
        assert context.reply_to is not None
        outcomes = encode_outcomes(outcomes_of((index, Outcome.INSERTED) for _, index in read))
        self._producer.send(result_records([Reply(context.request_id, context.reply_to, outcomes)], self._results))
        return messages


async def measured_request(app: ASGIApp, token: str, orders: int, consumer: StandInConsumer) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, CountingLoop)
    measured: list[dict[str, float]] = []
    with ThreadPoolExecutor(1) as apart:
        for number in range(REQUESTS):
            answered = apart.submit(consumer.answer, orders)
            body = request_body(orders, number)
            before = loop.hand_overs
            with calls() as counted:
                answer = await post(app, token, body)
            hand_overs = loop.hand_overs - before
            messages = answered.result()
            assert json.loads(answer)["inserted"] == len(messages) == orders
            message_bytes = sum(record_bytes(m.key(), m.value(), m.headers()) for m in messages)
            measured.append(
                {
                    "calls_per_order": counted.count / orders,
                    "hand_overs": hand_overs,
                    "messages": len(messages),
                    "message_bytes_per_order": message_bytes / orders,
                    "answer_bytes": len(answer),
                }
            )
    return min(measured, key=lambda figures: figures["calls_per_order"])


def test_the_work_for_a_request_does_not_grow(installation: Installation) -> None:
    token = installation.add_partner("shop-1")
    settings = IngressSettings(kafka_bootstrap=installation.bootstrap, topic_prefix=installation.prefix)
    admission = Admission(settings.in_flight_orders_max, settings.in_flight_bytes_max)
    app = create_app(settings, NoLedger(), admission, lambda _: None)

    async def measure() -> Figures:
        async with started(app):
            await ready(app)
            return {f"of {orders}": await measured_request(app, token, orders, stand_in) for orders in ORDERS}

    with installation.consumer() as consumer, asyncio.Runner(loop_factory=CountingLoop) as runner:
        stand_in = StandInConsumer(installation, consumer)
        measured = runner.run(measure())
    check(BUDGET, measured)
