"""What one partner may hold, so that none shuts out the others; what a refused request costs its partner."""

import asyncio
import json
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from contracts.event import ReplyTo
from contracts.ledger_reader import NoLedger
from contracts.partner import Partner
from ingress import body as body_module
from ingress.admission import Admission, Held
from ingress.auth import Guesses, Partners
from ingress.body import BODY_BYTES_MAX
from ingress.errors import BodyTimeoutError, PartnerShareError, UnavailableError
from ingress.metrics import IngressMetrics
from ingress.orders import OrdersEndpoint
from ingress.pending_replies import PendingReplies
from ingress.publisher import Publisher
from ingress.rate_limit import RateLimit
from support.orders import an_order

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def held_by(partner_id: str, admission: Admission, running: ExitStack) -> Held:
    held = running.enter_context(admission.request())
    held.belongs_to(partner_id)
    return held


@pytest.mark.parametrize("what", ["orders", "bytes"])
def test_a_partner_may_hold_what_it_leaves_free(what: str) -> None:
    admission = Admission(orders_max=100, bytes_max=100)

    def add(partner_id: str, count: int) -> None:
        held = held_by(partner_id, admission, running)
        (held.add_orders if what == "orders" else held.add_bytes)(count)

    with ExitStack() as running:
        for _ in range(5):
            add("hog", 10)
        with pytest.raises(PartnerShareError, match=f"Too many {what} of yours"):
            add("hog", 1)
        add("other", 20)
        with pytest.raises(PartnerShareError):
            add("other", 11)
        add("third", 15)
    assert (admission.requests, admission.orders, admission.bytes, admission.uses) == (0, 0, 0, {})
    with ExitStack() as running:
        add("hog", 50)


def test_a_partner_may_have_as_many_requests_in_flight_as_it_leaves_free() -> None:
    admission = Admission(orders_max=100, bytes_max=100, requests_max=10)
    with ExitStack() as running:
        for _ in range(5):
            held_by("hog", admission, running)
        with pytest.raises(PartnerShareError, match="Too many requests of yours"), admission.request() as held:
            held.belongs_to("hog")
        for _ in range(5):
            running.enter_context(admission.request())
        with pytest.raises(UnavailableError, match="Too many requests"), admission.request():
            pass
    assert (admission.requests, admission.uses) == (0, {})


def test_one_request_of_a_partner_may_fill_a_small_limit() -> None:
    admission = Admission(orders_max=10, bytes_max=100)
    with ExitStack() as running:
        held = held_by("p", admission, running)
        for _ in range(10):
            held.add_bytes(10)
        held.add_orders(10)
        with pytest.raises(UnavailableError):
            held_by("p", admission, running).add_orders(1)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(20, 60)), max_size=60))
def test_whatever_others_do_there_is_room_for_one_more_partner(requests: list[tuple[str, int]]) -> None:
    """Each leaves at least as much free as it holds, so each one more halves what is left at worst."""
    admission = Admission(orders_max=1000, bytes_max=1)
    with ExitStack() as running:
        for partner_id, orders in requests:
            with ExitStack() as one:
                try:
                    held_by(partner_id, admission, one).add_orders(orders)
                except PartnerShareError:
                    continue
                running.push(one.pop_all())
        held_by("newcomer", admission, running).add_orders(1000 // 2**3)


def test_what_still_arrives_is_refused_while_the_server_drains() -> None:
    admission = Admission(orders_max=10, bytes_max=100)
    with admission.request() as held:
        admission.draining = True
        with pytest.raises(UnavailableError, match="shutting down"):
            held.add_bytes(1)


class Asked:
    """An endpoint with one partner, which may send an order a second and has sent none yet."""

    def __init__(self) -> None:
        self.partner = Partner(partner_id="p", tokens=[], orders_per_s=1).with_token("t", NOW)
        self.admission = Admission(orders_max=10_000, bytes_max=10_000_000)
        self.rate_limit = RateLimit(lambda: 0.0)
        partners = Partners(Guesses(lambda: 0.0, lambda: None))
        partners.put("p", self.partner)
        self.endpoint = OrdersEndpoint(
            partners=partners,
            admission=self.admission,
            rate_limit=self.rate_limit,
            publisher=cast(Publisher, None),  # no request comes so far
            pending=PendingReplies(),
            ledger=NoLedger(),
            reply_to=ReplyTo(None, 0),
            ready=lambda: True,
            halted=lambda: False,
            new_request_id=lambda: UUID(int=0),
            request_timeout_s=60,
            body_timeout_s=60,
            clock_s=lambda: 0.0,
            metrics=IngressMetrics(),
        )

    def post(self, body: bytes | None, headers: dict[str, str]) -> Response:
        """The body arrives as a whole; if it is None, the client hangs up."""

        async def receive() -> dict[str, Any]:
            return {"type": "http.disconnect"} if body is None else {"type": "http.request", "body": body}

        named = [(name.encode(), text.encode()) for name, text in {"token": "t", **headers}.items()]
        request = Request({"type": "http", "method": "POST", "path": "/", "headers": named, "state": {}}, receive)
        return asyncio.run(self.endpoint.post(request))

    @property
    def owed(self) -> float:
        """How many orders its partner was charged."""
        return self.rate_limit.wait_s(self.partner)


def batch(*orders: object) -> bytes:
    return json.dumps({"data": orders}).encode()


REFUSED: dict[str, tuple[bytes | None, dict[str, str], int, int]] = {
    # the body, headers, the status of the answer, and what the request costs
    "a key that is malformed": (batch(), {"idempotency-key": "a b"}, 400, 1),
    "too long, as it says": (b"", {"content-length": str(BODY_BYTES_MAX + 1)}, 413, 1),
    "too long": (b" " * (BODY_BYTES_MAX + 1), {}, 413, 1),
    "not JSON": (b"{", {}, 400, 1),
    "seven orders, the first of which is wrong": (batch(an_order(name=1), *[an_order()] * 6), {}, 400, 7),
    "a client that hangs up": (None, {}, 400, 1),
    "nothing to do": (batch(), {}, 200, 1),
}


@pytest.mark.parametrize("name", REFUSED)
def test_no_request_is_free(name: str) -> None:
    body, headers, status, cost = REFUSED[name]
    asked = Asked()
    assert asked.post(body, headers).status_code == status
    assert asked.owed == cost
    if status != 413:
        assert asked.post(b"{", {}).status_code == 429  # and it is not charged
        assert asked.owed == cost


def test_a_partner_over_its_rate_is_refused_before_its_body_is_read() -> None:
    asked = Asked()
    asked.post(b"{", {})
    assert asked.post(None, {}).status_code == 429


def test_a_request_that_the_server_cannot_take_costs_nothing() -> None:
    asked = Asked()
    asked.admission.orders = asked.admission.orders_max
    assert asked.post(batch(an_order()), {}).status_code == 503
    assert asked.owed == 0


class Upload:
    """A body that arrives in pieces and then stops, without an end."""

    def __init__(self, *pieces: int) -> None:
        self._pieces = iter(pieces)
        self.given = 0

    async def receive(self) -> dict[str, Any]:
        piece = next(self._pieces, 0)
        if not piece:
            await asyncio.Event().wait()
        self.given += piece
        return {"type": "http.request", "body": b" " * piece, "more_body": True}


@pytest.mark.parametrize("pieces", [(), (1,), (4_000_000,), (10_000,) * 300])
def test_an_upload_that_stops_is_given_up_long_before_its_time_is_over(
    pieces: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_module, "PROGRESS_S", 0.01)
    admission = Admission(orders_max=10, bytes_max=5_000_000)
    upload = Upload(*pieces)

    async def read() -> None:
        with admission.request() as held:
            request = Request({"type": "http", "method": "POST", "headers": []}, upload.receive)
            with pytest.raises(BodyTimeoutError, match="at least 10240 bytes of it in each"):
                await body_module.read_body(request, held, 3600.0)

    asyncio.run(read())
    assert upload.given == sum(pieces)
    assert admission.bytes == 0


def test_a_client_that_hangs_up_is_told_from_one_that_is_slow() -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def read() -> None:
        with Admission(10, 10).request() as held:
            await body_module.read_body(Request({"type": "http", "headers": []}, receive), held, 3600.0)

    with pytest.raises(ClientDisconnect):
        asyncio.run(read())
