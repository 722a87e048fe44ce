"""POST /api/integration/orders: the way of one request, from its bytes to its counts (design 5)."""

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID, uuid4

from pydantic import BaseModel, FailFast, Field
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from order_upsert.contracts import limits
from order_upsert.contracts.order import Order, invalid_reason
from order_upsert.contracts.partner import Partner
from order_upsert.contracts.record import HeaderWriter, ReplyTo, RequestContext, is_traceparent
from order_upsert.contracts.strict_json import Violation, parse
from order_upsert.ingress.admission import Admission, Held
from order_upsert.ingress.auth import Partners
from order_upsert.ingress.errors import (
    BodyTimeoutError,
    BodyTooLargeError,
    IngressError,
    NotConfirmedError,
    RateLimitedError,
    UnauthorizedError,
    UnavailableError,
)
from order_upsert.ingress.publisher import Item, Publisher
from order_upsert.ingress.rate_limit import RateLimit
from order_upsert.ingress.replies import Counts, PendingReplies

ORDERS_PATH = "/api/integration/orders"
BODY_BYTES_MAX = 4 * 1024 * 1024
_log = logging.getLogger(__name__)


class OrderBatch(BaseModel):
    """The body. FailFast: the first violation is all that is told, and a large body gives no larger error."""

    data: Annotated[list[Order], FailFast(), Field(max_length=limits.ORDERS_PER_REQUEST_MAX)]


class OrdersEndpoint:
    """Everything that a request passes on its way; `ready` says whether partners can be told apart yet."""

    def __init__(
        self,
        *,
        partners: Partners,
        admission: Admission,
        rate_limit: RateLimit,
        publisher: Publisher,
        pending: PendingReplies,
        reply_to: ReplyTo,
        ready: Callable[[], bool],
        new_request_id: Callable[[], UUID],
        request_timeout_s: float,
        body_timeout_s: float,
    ) -> None:
        self._partners = partners
        self._admission = admission
        self._rate_limit = rate_limit
        self._publisher = publisher
        self._pending = pending
        self._reply_to = reply_to
        self._ready = ready
        self._new_request_id = new_request_id
        self._request_timeout_s = request_timeout_s
        self._body_timeout_s = body_timeout_s

    async def post(self, request: Request) -> Response:
        """The answer to every request, whatever happens; a disconnected client gets none."""
        try:
            with self._admission.request() as held:
                return counts_response(await self._handle(request, held))
        except Violation as violation:
            return json_response(HTTPStatus.BAD_REQUEST, {"path": violation.path, "error": violation.error})
        except IngressError as error:
            headers = error.headers
            if "expect" in request.headers:
                headers["Connection"] = (
                    "close"  # whether the body still comes is the client's choice (RFC 9110, 10.1.1)
                )
            return json_response(error.status, {"error": str(error)}, headers)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)  # there is nobody to read it
        except Exception:  # noqa: BLE001 - the last line of defence: no partner sees a stack trace
            error_id = uuid4()
            _log.exception("error %s", error_id)
            text = f"An error of this server. It is written down as {error_id}."
            return json_response(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": text})

    async def _handle(self, request: Request, held: Held) -> Counts:
        if not self._ready():
            raise UnavailableError("This server is not ready yet.")
        partner = self._partners.authenticate(request.headers.getlist("token"))
        if partner is None:
            raise UnauthorizedError
        body = await self._read_body(request, held)
        wait_s = self._rate_limit.wait_s(partner)
        if wait_s:
            raise RateLimitedError(wait_s)
        orders = parse(OrderBatch, body).data
        del body  # the rest of the way may be long
        items = _items(orders)
        self._rate_limit.charge(partner, len(orders))
        counts = Counts(skipped=len(orders) - len(items))
        if not items:
            return counts
        return await self._publish(partner, len(orders), items, counts, request.headers.get("traceparent", ""), held)

    async def _publish(
        self, partner: Partner, size: int, items: list[Item], counts: Counts, traceparent: str, held: Held
    ) -> Counts:
        if not self._publisher.reachable:
            raise UnavailableError("Kafka is not reachable.")
        held.add_orders(len(items))
        context = RequestContext(
            request_id=self._new_request_id(),
            partner_id=partner.partner_id,
            time=datetime.now(UTC),
            size=size,
            invalid=size - len(items),
            reply_to=self._reply_to,
            traceparent=traceparent if is_traceparent(traceparent) else None,
        )
        answer: asyncio.Future[Counts] = asyncio.get_running_loop().create_future()
        self._pending.add(context.request_id, (index for index, _, _ in items), counts, answer)
        try:
            async with asyncio.timeout(self._request_timeout_s):
                self._publisher.publish(context.request_id, items, HeaderWriter(context))
                items.clear()  # the client library has its own copy
                return await answer
        except TimeoutError:
            raise NotConfirmedError(context.request_id) from None
        finally:
            self._pending.remove(context.request_id)

    async def _read_body(self, request: Request, held: Held) -> bytes:
        too_large = BodyTooLargeError(f"The body should have at most {BODY_BYTES_MAX} bytes.")
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > BODY_BYTES_MAX:
            raise too_large
        chunks, size = [], 0
        try:
            async with asyncio.timeout(self._body_timeout_s):
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > BODY_BYTES_MAX:
                        raise too_large
                    held.add_bytes(len(chunk))
                    chunks.append(chunk)
        except TimeoutError:
            raise BodyTimeoutError(f"The body did not arrive within {self._body_timeout_s:g} s.") from None
        return b"".join(chunks)


def _items(orders: list[Order]) -> list[Item]:
    """What is to be published. Raises Violation for an order that is too large."""
    items = []
    for index, order in enumerate(orders):
        if invalid_reason(order) is not None:
            continue
        value = order.canonical()
        if len(value) > limits.ORDER_BYTES_MAX:
            raise Violation(f"data[{index}]", f"An order should have at most {limits.ORDER_BYTES_MAX} bytes")
        items.append((index, order.order_id.encode(), value))
    return items


def counts_response(counts: Counts) -> Response:
    """The documented answer: these keys, in this order, with these spaces."""
    message = (
        f"{counts.inserted} new records inserted. {counts.updated} existing records updated. "
        f"Same value or invalid data skipped {counts.skipped}"
    )
    content = {
        "message": message,
        "skipped": counts.skipped,
        "inserted": counts.inserted,
        "updated": counts.updated,
    }
    return json_response(HTTPStatus.OK, content)


def json_response(status: int, content: dict[str, object], headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(content, ensure_ascii=False), status, headers, media_type="application/json")
