"""One request through the ingress, without Kafka."""

import asyncio
import gc
import json
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest
from starlette.requests import Request
from starlette.responses import Response

from contracts.event import HeaderWriter, ReplyTo
from contracts.ledger_reader import NoLedger
from contracts.partner import Partner
from contracts.result import Outcome, encode_outcomes, encode_result, outcomes_of
from ingress.admission import Admission
from ingress.auth import Guesses, Partners
from ingress.fast_path import ParsedOrder
from ingress.orders import OrdersEndpoint
from ingress.pending_replies import PendingReplies
from ingress.publisher import Item, Publisher
from ingress.rate_limit import RateLimit
from support.orders import an_order

ORDER_ID = "ORD-only-here"
BODY = json.dumps({"data": [an_order(ORDER_ID)]}).encode()


class CopyingPublisher:
    """Keeps no reference to the orders, like the client library, which copies them."""

    reachable = True

    def __init__(self) -> None:
        self.request_id: UUID | None = None
        self.digest: str | None = None

    def publish(
        self, request_id: UUID, items: list[Item], headers: HeaderWriter, *_: object, crowded: bool = False
    ) -> None:
        self.request_id = request_id
        digest = dict(headers.headers(items[0][0])).get("ce_requestdigest")
        self.digest = digest.decode() if isinstance(digest, bytes) else None


def an_endpoint(publisher: CopyingPublisher, pending: PendingReplies) -> OrdersEndpoint:
    partners = Partners(Guesses(lambda: 0.0, lambda: None))
    partners.put("p", Partner(partner_id="p", tokens=[]).with_token("t", datetime(2026, 1, 1, tzinfo=UTC)))
    return OrdersEndpoint(
        partners=partners,
        admission=Admission(orders_max=10, bytes_max=1_000_000),
        rate_limit=RateLimit(lambda: 0.0),
        publisher=cast(Publisher, publisher),
        pending=pending,
        ledger=NoLedger(),
        reply_to=ReplyTo("orders.results", 0),
        ready=lambda: True,
        halted=lambda: False,
        new_request_id=lambda: UUID("0199f4a0-1c00-7000-8000-000000000000"),
        request_timeout_s=60,
        body_timeout_s=60,
    )


def post(endpoint: OrdersEndpoint, headers: dict[str, str]) -> "asyncio.Task[Response]":
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": bytes(bytearray(BODY))}  # a copy for each request

    named = [(name.encode(), text.encode()) for name, text in {"token": "t", **headers}.items()]
    request = Request({"type": "http", "method": "POST", "path": "/", "headers": named, "state": {}}, receive)
    return asyncio.ensure_future(endpoint.post(request))


def held_orders() -> list[object]:
    """Parsed orders, and lists of items to publish, that something still refers to."""
    return [
        held
        for held in gc.get_objects()
        if (isinstance(held, ParsedOrder) and held.order_id == ORDER_ID)  # another test may hold others
        or (type(held) is list and held and type(held[0]) is tuple and ORDER_ID.encode() in held[0])
    ]


@pytest.mark.parametrize(
    "headers", [[{}], [{"prefer": "wait=50"}], [{"idempotency-key": "k"}, {"idempotency-key": "k"}]]
)
def test_a_request_that_waits_does_not_hold_its_orders(headers: list[dict[str, str]]) -> None:
    """A request may wait for its outcomes for long, and as parsed orders it is far larger than in Kafka's queue.

    With one Idempotency-Key twice, the second request joins the first and publishes nothing.
    """

    async def run() -> list[int]:
        publisher, pending = CopyingPublisher(), PendingReplies()
        endpoint = an_endpoint(publisher, pending)
        responses = [post(endpoint, each) for each in headers]
        while publisher.request_id is None:
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        assert len(pending) == 1
        assert held_orders() == []
        outcomes = encode_outcomes(outcomes_of([(0, Outcome.INSERTED)]))
        value = encode_result(publisher.request_id, outcomes, digest=publisher.digest)
        pending.on_result(str(publisher.request_id).encode(), value)
        return [(await response).status_code for response in responses]

    assert asyncio.run(run()) == [200] * len(headers)
