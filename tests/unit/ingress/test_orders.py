"""One request through the ingress, without Kafka."""

import asyncio
import gc
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest
from starlette.requests import Request
from starlette.responses import Response

from contracts.event import HeaderWriter, ReplyTo
from contracts.ledger_reader import LedgerReader, LedgerUnavailableError, NoLedger
from contracts.partner import Partner
from contracts.result import Outcome, encode_outcomes, encode_result, outcomes_of
from ingress.admission import Admission
from ingress.auth import Guesses, Partners
from ingress.checked_request import Item
from ingress.fast_path import ParsedOrder
from ingress.metrics import IngressMetrics
from ingress.orders import OrdersEndpoint
from ingress.pending_replies import PendingReplies
from ingress.publisher import Publisher
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
        self.acknowledged: asyncio.Future[None] | None = None

    def forget(self) -> None:
        self.request_id = None

    def publish(
        self,
        request_id: UUID,
        items: list[Item],
        headers: HeaderWriter,
        acknowledged: "asyncio.Future[None] | None" = None,
        *,
        crowded: bool = False,
    ) -> None:
        self.request_id = request_id
        self.acknowledged = acknowledged
        digest = dict(headers.headers(items[0][0])).get("ce_requestdigest")
        self.digest = digest.decode() if isinstance(digest, bytes) else None


def an_endpoint(
    publisher: CopyingPublisher,
    pending: PendingReplies,
    orders_per_s: int | None = None,
    timeout_s: float = 60,
    ledger: LedgerReader | None = None,
) -> OrdersEndpoint:
    partners = Partners(Guesses(lambda: 0.0, lambda: None))
    partner = Partner(partner_id="p", tokens=[], orders_per_s=orders_per_s)
    partners.put("p", partner.with_token("t", datetime(2026, 1, 1, tzinfo=UTC)))
    return OrdersEndpoint(
        partners=partners,
        admission=Admission(orders_max=10, bytes_max=1_000_000),
        rate_limit=RateLimit(lambda: 0.0),
        publisher=cast(Publisher, publisher),
        pending=pending,
        ledger=ledger or NoLedger(),
        reply_to=ReplyTo("orders.results", 0),
        ready=lambda: True,
        halted=lambda: False,
        new_request_id=lambda: UUID("0199f4a0-1c00-7000-8000-000000000000"),
        request_timeout_s=timeout_s,
        body_timeout_s=60,
        clock_s=lambda: 0.0,
        metrics=IngressMetrics(),
    )


def post(
    endpoint: OrdersEndpoint, headers: dict[str, str], body: bytes = BODY, *, is_dry_run: bool = False
) -> "asyncio.Task[Response]":
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": bytes(bytearray(body))}  # a copy for each request

    named = [(name.encode(), text.encode()) for name, text in {"token": "t", **headers}.items()]
    request = Request({"type": "http", "method": "POST", "path": "/", "headers": named, "state": {}}, receive)
    return asyncio.ensure_future(endpoint.dry_run(request) if is_dry_run else endpoint.post(request))


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


def answers(*requests: tuple[dict[str, str], bytes], orders_per_s: int | None = None) -> list[Response]:
    """Of one endpoint, one after the other. Whatever is published is acknowledged, and its outcome comes."""

    async def run() -> list[Response]:
        publisher, pending = CopyingPublisher(), PendingReplies()
        endpoint = an_endpoint(publisher, pending, orders_per_s)
        responses = []
        for headers, body in requests:
            publisher.forget()
            answer = post(endpoint, headers, body)
            while publisher.request_id is None and not answer.done():
                await asyncio.sleep(0)
            if publisher.request_id is not None:
                if publisher.acknowledged is not None:
                    publisher.acknowledged.set_result(None)
                    await asyncio.sleep(0)
                value = encode_result(publisher.request_id, encode_outcomes(outcomes_of([(0, Outcome.INSERTED)])))
                pending.on_result(str(publisher.request_id).encode(), value)
            responses.append(await answer)
        return responses

    return asyncio.run(run())


def test_a_client_that_asks_for_it_learns_how_long_each_part_took() -> None:
    usual, timed, wrong = answers(({}, BODY), ({"prefer": "server-timing"}, BODY), ({"prefer": "server-timing"}, b"{"))
    assert "server-timing" not in usual.headers
    assert timed.headers["server-timing"] == "read;dur=0.000, publish;dur=0.000, apply;dur=0.000, reply;dur=0.000"
    assert timed.headers["preference-applied"] == "server-timing"
    assert timed.body == usual.body
    assert (wrong.status_code, wrong.headers["server-timing"]) == (400, "read;dur=0.000")


def test_a_504_says_which_part_took_too_long() -> None:
    async def run() -> Response:
        endpoint = an_endpoint(CopyingPublisher(), PendingReplies(), timeout_s=0)
        return await post(endpoint, {"prefer": "server-timing"})

    answer = asyncio.run(run())
    assert (answer.status_code, answer.headers["server-timing"]) == (504, "read;dur=0.000, publish;dur=0.000")


def test_a_partner_with_a_rate_is_told_what_is_left_of_it_also_after_an_error() -> None:
    limited = answers(({}, BODY), ({}, b"{"), ({}, BODY), orders_per_s=2)
    told = [(each.status_code, each.headers["ratelimit"], each.headers["ratelimit-policy"]) for each in limited]
    policy = '"orders";q=2;w=1'
    assert told == [
        (200, '"orders";r=1;t=1', policy),
        (400, '"orders";r=0;t=1', policy),
        (429, '"orders";r=0;t=1', policy),
    ]
    (unlimited,) = answers(({}, BODY))
    assert [name for name, _ in unlimited.raw_headers] == [b"content-length", b"content-type"]


class TellingLedger(NoLedger):
    """Foretells one outcome for all orders, or raises."""

    def __init__(self, outcome: Outcome | None) -> None:
        self.asked = list[tuple[str, Sequence[tuple[str, bytes]]]]()
        self._outcome = outcome

    async def foretell(self, partner_id: str, orders: Sequence[tuple[str, bytes]]) -> list[Outcome]:
        self.asked.append((partner_id, orders))
        if self._outcome is None:
            raise LedgerUnavailableError("down")
        return [self._outcome] * len(orders)


def foretold(
    ledger: LedgerReader, headers: dict[str, str], body: bytes = BODY, publisher: CopyingPublisher | None = None
) -> Response:
    """The answer to a dry-run. Nothing is published and nothing waits."""

    async def run() -> Response:
        publishing, pending = publisher or CopyingPublisher(), PendingReplies()
        answer = await post(an_endpoint(publishing, pending, 5, ledger=ledger), headers, body, is_dry_run=True)
        assert (publishing.request_id, len(pending)) == (None, 0)
        return answer

    return asyncio.run(run())


TWO = json.dumps({"data": [an_order(ORDER_ID, discount=-1), an_order(ORDER_ID)]}).encode()


def test_a_dry_run_is_answered_as_the_request_would_be_and_publishes_nothing() -> None:
    ledger = TellingLedger(Outcome.UPDATED)
    answer = foretold(ledger, {"prefer": "return=representation, respond-async, wait=5, server-timing"}, TWO)
    content = json.loads(bytes(answer.body))
    assert content == {
        "message": "0 new records inserted. 1 existing records updated. Same value or invalid data skipped 1",
        "skipped": 1,
        "inserted": 0,
        "updated": 1,
        "orders": [
            {"index": 0, "order_id": ORDER_ID, "outcome": "invalid", "reason": "discount is negative"},
            {"index": 1, "order_id": ORDER_ID, "outcome": "updated"},
        ],
    }
    assert [(partner, [order_id for order_id, _ in orders]) for partner, orders in ledger.asked] == [("p", [ORDER_ID])]
    assert answer.headers["preference-applied"] == "return=representation, server-timing"
    assert answer.headers["ratelimit"] == '"orders";r=3;t=1'  # it costs what the request would
    (usual,) = answers(({}, BODY))
    assert foretold(TellingLedger(Outcome.INSERTED), {}).body == usual.body


def test_a_dry_run_is_refused_as_the_request_would_be() -> None:
    unreachable = CopyingPublisher()
    unreachable.reachable = False
    never = TellingLedger(Outcome.INSERTED)
    assert foretold(never, {}, b"{").status_code == 400
    assert foretold(never, {"token": "x"}).status_code == 401
    assert foretold(never, {"prefer": "handling=strict"}, TWO).status_code == 400
    assert foretold(never, {}, publisher=unreachable).status_code == 503
    assert foretold(never, {}, json.dumps({"data": [an_order()] * 11}).encode()).status_code == 503
    assert never.asked == []


def test_a_dry_run_that_cannot_be_told_says_whether_it_ever_can() -> None:
    never = foretold(NoLedger(), {})
    told = never.status_code, json.loads(bytes(never.body))["error"]
    assert told == (501, "This server cannot tell outcomes beforehand: it may not read the orders.")
    later = foretold(TellingLedger(None), {})
    assert (later.status_code, later.headers["retry-after"]) == (503, "1")
    assert b"orders cannot be read" in later.body
