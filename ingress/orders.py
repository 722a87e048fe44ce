"""POST /api/integration/orders: one request from its bytes to its counts (design 5)."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from contracts import request_id
from contracts.event import HeaderWriter, ReplyTo, RequestContext, RequestKey, is_traceparent
from contracts.ledger_reader import LedgerReader, LedgerUnavailableError
from ingress.admission import Admission, Held
from ingress.answers import accepted_response, counts_body, counts_response, json_response, representation, respond
from ingress.auth import Partners
from ingress.batch import parse_body
from ingress.body import read_body
from ingress.errors import KeyConflictError, NotConfirmedError, PartnerShareError, RateLimitedError, UnavailableError
from ingress.fast_path import ParsedOrder
from ingress.idempotency import digest_of, parse_key
from ingress.pending_replies import Answer, Pending, PendingReplies
from ingress.preferences import NO_PREFERENCES, Preferences, parse_preferences
from ingress.publisher import Item, Publisher
from ingress.rate_limit import RateLimit
from ingress.request_headers import read_request_headers
from ingress.waiting import wait_for_done

ORDERS_PATH = "/api/integration/orders"
CROWDED_ORDERS = 32
"""With this many orders in flight, fuller requests to Kafka save more time than lingering costs."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CheckedRequest:
    """One request, read and checked: what its answer needs.

    `digest` is None without an Idempotency-Key. `refused`: why an item is skipped as invalid, by its index. The orders
    themselves are not here, because a request may wait long: see `OrdersEndpoint._post`.
    """

    request_id: UUID
    partner_id: str
    digest: str | None
    preferences: Preferences
    order_ids: list[str]
    refused: dict[int, str]


@dataclass(frozen=True, slots=True)
class Accepted:
    """Every order is in Kafka, but the outcomes are not known yet. The answer is 202."""


class OrdersEndpoint:
    """Serves requests. `ready`: partners are read, the reply partition is assigned. `halted`: nothing is applied."""

    def __init__(
        self,
        *,
        partners: Partners,
        admission: Admission,
        rate_limit: RateLimit,
        publisher: Publisher,
        pending: PendingReplies,
        ledger: LedgerReader,
        reply_to: ReplyTo,
        ready: Callable[[], bool],
        halted: Callable[[], bool],
        new_request_id: Callable[[], UUID],
        request_timeout_s: float,
        body_timeout_s: float,
    ) -> None:
        self._partners = partners
        self._admission = admission
        self._rate_limit = rate_limit
        self._publisher = publisher
        self._pending = pending
        self._ledger = ledger
        self._reply_to = reply_to
        self._ready = ready
        self._halted = halted
        self._new_request_id = new_request_id
        self._request_timeout_s = request_timeout_s
        self._body_timeout_s = body_timeout_s

    async def post(self, request: Request) -> Response:
        """The answer to a request, also after an error. A disconnected client gets none."""
        return await respond(request, self._post)

    async def _post(self, request: Request) -> Response:
        with self._admission.request() as held:
            if not self._ready():
                raise UnavailableError("This server is not ready yet.")
            if self._halted():
                raise UnavailableError("Orders cannot be applied at the moment.")
            headers = read_request_headers(request.scope["headers"])
            partner = self._partners.authenticate(headers.token, request.scope["state"])
            held.belongs_to(partner.partner_id)
            is_limited = partner.orders_per_s is not None
            try:
                if is_limited:
                    self._rate_limit.require(partner)
                key = parse_key(headers.idempotency_key)
                preferences = parse_preferences(headers.prefer) if headers.prefer else NO_PREFERENCES
                body = await read_body(request, held, self._body_timeout_s)
                if is_limited:
                    self._rate_limit.require(partner)  # other requests of the partner were read meanwhile
                orders = await parse_body(body, strict=preferences.strict, require_room=held.require_room)
            except (RateLimitedError, PartnerShareError, UnavailableError):
                raise
            except Exception:  # also if the client hung up: what is refused is not free
                self._rate_limit.charge(partner, held.asked_orders)
                raise
            self._rate_limit.charge(partner, len(orders))
            checked, items = self._check(orders, key, partner.partner_id, preferences)
            del body, orders
            answer: Answer | Accepted | None = await self._stored_answer(checked, is_empty=not items)
            if answer is None:
                indexes = [index for index, _, _ in items]
                with self._pending.waiting_for(checked.request_id, checked.digest, indexes) as pending:
                    acknowledged = self._publish(checked, items, pending, headers.traceparent, held)
                    del items  # the client library has its own copy, and this request may wait long
                    answer = await self._wait(checked, pending, acknowledged)
            return self._response(checked, answer)

    def _check(
        self, orders: list[ParsedOrder], key: str | None, partner_id: str, preferences: Preferences
    ) -> tuple[CheckedRequest, list[Item]]:
        """The request, and the items to publish."""
        items: list[Item] = []
        refused: dict[int, str] = {}
        for index, order in enumerate(orders):
            if order.refused is None:
                items.append((index, order.order_id.encode(), order.canonical))
            else:
                refused[index] = order.refused
        order_ids = [order.order_id for order in orders]
        if key is None:
            own_id, digest = request_id.tagged(self._new_request_id(), partner_id), None
        else:
            own_id, digest = request_id.keyed(key, partner_id), digest_of(order.canonical for order in orders)
        return CheckedRequest(own_id, partner_id, digest, preferences, order_ids, refused), items

    async def _stored_answer(self, checked: CheckedRequest, *, is_empty: bool) -> Answer | None:
        """The answer that needs no publishing. `is_empty`: the request has nothing to publish.

        None if the request must be published: the ledger does not have all its outcomes, or does not respond. Raises
        KeyConflictError.
        """
        if checked.digest is None:
            return Answer() if is_empty else None
        try:
            stored = await self._ledger.read(RequestKey(checked.request_id, checked.partner_id))
        except LedgerUnavailableError as error:
            _log.warning("%s", error)
            stored = None
        if stored is not None and stored.digest != checked.digest:
            raise KeyConflictError
        if stored is not None and stored.is_complete:
            return Answer(stored.outcomes, stored=True)
        return Answer() if is_empty else None

    def _publish(
        self, checked: CheckedRequest, items: list[Item], pending: Pending, traceparent: str, held: Held
    ) -> "asyncio.Future[None] | None":
        """Hands the orders to the client library, unless another request with the same key and body did.

        Returns a future that is done when every order is in Kafka, if the partner accepts a 202, else None. Raises
        UnavailableError if nothing was published.
        """
        if not self._publisher.reachable:
            raise UnavailableError("Kafka is not reachable.")
        count = len(items)
        held.add_orders(count)
        headers = HeaderWriter(
            RequestContext(
                request_id=checked.request_id,
                partner_id=checked.partner_id,
                size=len(checked.order_ids),
                invalid=len(checked.refused),
                reply_to=self._reply_to,
                traceparent=traceparent if is_traceparent(traceparent) else None,
                digest=checked.digest,
            )
        )
        if checked.preferences.accepts_202:
            acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            pending.published += count
            self._publisher.publish(checked.request_id, items, headers, acknowledged)
            return acknowledged
        if not pending.is_joined:
            pending.published += count
            crowded = self._admission.orders >= CROWDED_ORDERS
            self._publisher.publish(checked.request_id, items, headers, crowded=crowded)
        return None

    async def _wait(
        self, checked: CheckedRequest, pending: Pending, acknowledged: "asyncio.Future[None] | None"
    ) -> Answer | Accepted:
        """Raises NotConfirmedError if the server's own time ends first, or what `pending` failed with."""
        if acknowledged is not None:
            return await self._wait_for_either(checked, pending, acknowledged)
        await wait_for_done(pending.done, self._request_timeout_s)
        if not pending.done.done():
            raise NotConfirmedError(checked.request_id)
        return pending.done.result()

    async def _wait_for_either(
        self, checked: CheckedRequest, pending: Pending, acknowledged: "asyncio.Future[None]"
    ) -> Answer | Accepted:
        wait_s = self._wait_s(checked.preferences)
        if wait_s:
            await asyncio.wait([pending.done], timeout=wait_s)
        if not pending.done.done():
            either: list[asyncio.Future[Any]] = [pending.done, acknowledged]
            left_s = self._request_timeout_s - wait_s
            await asyncio.wait(either, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        if pending.done.done() and (wait_s or pending.done.exception()):
            return pending.done.result()
        if pending.done.done() or acknowledged.done():
            return Accepted()
        raise NotConfirmedError(checked.request_id)

    def _response(self, checked: CheckedRequest, answer: Answer | Accepted) -> Response:
        preferences = checked.preferences
        if isinstance(answer, Accepted):
            return accepted_response(checked.request_id, self._applied(preferences, representation=False))
        if preferences is NO_PREFERENCES and not answer.stored:
            return counts_response(answer.outcomes, len(checked.refused))
        content = counts_body(answer.outcomes, len(checked.refused))
        if preferences.representation:
            content["orders"] = representation(checked.order_ids, checked.refused, answer.outcomes)
        headers = self._applied(preferences, representation=preferences.representation)
        if answer.stored:
            headers["Idempotent-Replayed"] = "true"
        return json_response(200, content, headers)

    def _applied(self, preferences: Preferences, *, representation: bool) -> dict[str, str]:
        return preferences.applied(wait_s=self._wait_s(preferences), representation=representation)

    def _wait_s(self, preferences: Preferences) -> float:
        return min(preferences.wait_s or 0, self._request_timeout_s)
