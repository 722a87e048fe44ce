"""POST /api/integration/orders: one request from its bytes to its counts (design 5)."""

import asyncio
import logging
from collections.abc import Callable
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from contracts.event import HeaderWriter, ReplyTo, RequestContext, RequestKey, is_traceparent
from contracts.ledger_reader import LedgerReader, LedgerUnavailableError
from ingress import problems
from ingress.added_headers import ADDED, add_later, with_added
from ingress.admission import Admission, Held
from ingress.answers import accepted_response, counts_body, counts_response, representation, respond
from ingress.auth import Partners
from ingress.batch import parse_body
from ingress.body import read_body
from ingress.checked_request import CheckedRequest, Item, check
from ingress.errors import KeyConflictError, LaterError, NotConfirmedError, UnavailableError
from ingress.foretelling import foretell
from ingress.idempotency import parse_key
from ingress.json_answers import json_response
from ingress.metrics import IngressMetrics
from ingress.noted import PARTNER
from ingress.pending_replies import Answer, Pending, PendingReplies
from ingress.preferences import NO_PREFERENCES, Preferences, parse_preferences
from ingress.publisher import Publisher
from ingress.rate_headers import rate_headers
from ingress.rate_limit import RateLimit
from ingress.request_headers import read_request_headers
from ingress.timing import Timing
from ingress.waiting import Accepted, wait_for_done, wait_for_either

ORDERS_PATH = "/api/integration/orders"
DRY_RUN_PATH = "/api/integration/orders/dry-run"
CROWDED_ORDERS = 32
"""With this many orders in flight, fuller requests to Kafka save more time than lingering costs."""
_log = logging.getLogger(__name__)


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
        clock_s: Callable[[], float],
        metrics: IngressMetrics,
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
        self._clock_s = clock_s
        self._metrics = metrics

    async def post(self, request: Request) -> Response:
        """The answer to a request, also after an error. A disconnected client gets none."""
        response = await respond(request, self._post)
        return with_added(response, request.scope) if ADDED in request.scope else response

    async def dry_run(self, request: Request) -> Response:
        """The answer that the request would get now, or a 501 or 503 if that cannot be told. Publishes nothing."""

        async def ask(request: Request) -> Response:
            return await self._post(request, is_dry_run=True)

        return with_added(await respond(request, ask), request.scope)

    async def _post(self, request: Request, *, is_dry_run: bool = False) -> Response:
        with self._admission.request() as held:
            if not self._ready():
                raise UnavailableError(problems.NOT_READY)
            if self._halted():
                raise UnavailableError(problems.NOT_APPLIED_NOW)
            headers = read_request_headers(request.scope["headers"])
            partner = self._partners.authenticate(headers.token, request.scope["state"])
            is_limited = partner.orders_per_s is not None
            if is_limited:
                add_later(request.scope, lambda: rate_headers(partner, self._rate_limit))
            request.scope[PARTNER] = partner.partner_id
            held.belongs_to(partner.partner_id)
            timing = None
            try:
                if is_limited:
                    self._rate_limit.require(partner)
                key = parse_key(headers.idempotency_key)
                preferences = parse_preferences(headers.prefer) if headers.prefer else NO_PREFERENCES
                if is_dry_run:
                    preferences = preferences.of_dry_run()
                if preferences.timing:
                    timing = Timing(self._clock_s)
                    add_later(request.scope, timing.headers)
                body = await read_body(request, held, self._body_timeout_s)
                if is_limited:
                    self._rate_limit.require(partner)  # other requests of the partner were read meanwhile
                orders = await parse_body(body, strict=preferences.strict, require_room=held.require_room)
            except LaterError:
                raise
            except Exception:  # also if the client hung up: what is refused is not free
                self._rate_limit.charge(partner, held.asked_orders)
                raise
            self._rate_limit.charge(partner, len(orders))
            checked, items = check(orders, key, partner.partner_id, preferences, self._new_request_id)
            del body, orders
            if checked.refused and not is_dry_run:
                self._metrics.on_invalid(len(checked.refused))
            if timing is not None and key:
                timing.begin("ledger")
            answer: Answer | Accepted | None = await self._stored_answer(checked, is_empty=not items)
            if answer is None and is_dry_run:
                reachable = self._publisher.reachable
                answer = await foretell(self._ledger, checked, items, held, is_reachable=reachable)
            if answer is None:
                indexes = [index for index, _, _ in items]
                with self._pending.waiting_for(checked.request_id, checked.digest, indexes) as pending:
                    if timing is not None:
                        timing.begin("publish")
                    acknowledged = self._publish(checked, items, pending, headers.traceparent, held)
                    del items  # the client library has its own copy, and this request may wait long
                    if timing is not None:
                        timing.follow(acknowledged, pending.done)
                    waits_s = self._clock_s()
                    try:
                        answer = await self._wait(checked, pending, acknowledged)
                    finally:
                        self._metrics.on_wait(self._clock_s() - waits_s)
            return self._response(checked, answer)

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

        Returns a future that is done when every order is in Kafka, if the partner accepts a 202 or wants to know how
        long it took, else None. Raises UnavailableError if nothing was published.
        """
        if not self._publisher.reachable:
            raise UnavailableError(problems.KAFKA_UNREACHABLE)
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
        if checked.preferences.accepts_202 or (checked.preferences.timing and not pending.is_joined):
            acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            pending.published += count
            self._publisher.publish(checked.request_id, items, headers, acknowledged)
            self._metrics.on_published(checked.partner_id, count)
            return acknowledged
        if not pending.is_joined:
            pending.published += count
            crowded = self._admission.orders >= CROWDED_ORDERS
            self._publisher.publish(checked.request_id, items, headers, crowded=crowded)
            self._metrics.on_published(checked.partner_id, count)
        return None

    async def _wait(
        self, checked: CheckedRequest, pending: Pending, acknowledged: "asyncio.Future[None] | None"
    ) -> Answer | Accepted:
        """Raises NotConfirmedError if the server's own time ends first, or what `pending` failed with."""
        if acknowledged is None or not checked.preferences.accepts_202:
            await wait_for_done(pending.done, self._request_timeout_s)
            if not pending.done.done():
                raise NotConfirmedError(checked.request_id)
            return pending.done.result()
        wait_s = self._wait_s(checked.preferences)
        return await wait_for_either(checked.request_id, pending, acknowledged, wait_s, self._request_timeout_s)

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
