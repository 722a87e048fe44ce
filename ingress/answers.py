"""The answers to partners: the counts, the status of a request, and errors without internals."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from uuid import UUID, uuid4

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from contracts.result import SKIPPED, Outcome, Outcomes, StoredRequest
from contracts.strict_json import Violation
from ingress import problems
from ingress.connections import CONNECTION
from ingress.error_answers import bad_request_response, error_response
from ingress.errors import IngressError, UnauthorizedError, location
from ingress.json_answers import Json, json_response
from ingress.noted import HUNG_UP, REFUSED

_log = logging.getLogger(__name__)


async def respond(request: Request, handle: Callable[[Request], Awaitable[Response]]) -> Response:
    """The answer of `handle`, or the answer for its error. A disconnected client gets none."""
    try:
        return await handle(request)
    except Violation as violation:
        return bad_request_response(request, violation)
    except IngressError as error:
        if isinstance(error, UnauthorizedError) and error.wait_s:
            await _let_guesser_wait(request, error.wait_s)
        return error_response(request, error.problem, str(error), error.headers)
    except ClientDisconnect:
        request.scope[REFUSED] = HUNG_UP
        return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody reads it
    except Exception:  # noqa: BLE001 - the last line of defence: no partner sees a stack trace
        error_id = uuid4()
        _log.exception("error %s", error_id)
        return error_response(request, problems.INTERNAL, problems.INTERNAL.said(error_id=error_id), {})


async def _let_guesser_wait(request: Request, wait_s: float) -> None:
    """Meanwhile the connection may be closed to make room for another one."""
    connection = request.scope.get("state", {}).get(CONNECTION)
    if connection is not None:
        connection.may_be_closed()
    await asyncio.sleep(wait_s)


def counts_of(outcomes: Outcomes, invalid: int) -> Json:
    """The three counts, in the documented order. `invalid`: items that were not published."""
    skipped = sum(len(outcomes[outcome]) for outcome in SKIPPED)
    return {
        "skipped": skipped + invalid,
        "inserted": len(outcomes[Outcome.INSERTED]),
        "updated": len(outcomes[Outcome.UPDATED]),
    }


def counts_body(outcomes: Outcomes, invalid: int) -> Json:
    """The documented body of a 200: these keys, in this order."""
    counts = counts_of(outcomes, invalid)
    message = (
        f"{counts['inserted']} new records inserted. {counts['updated']} existing records updated. "
        f"Same value or invalid data skipped {counts['skipped']}"
    )
    return {"message": message, **counts}


class _CountsResponse(Response):
    """As Starlette would make it, without its passes over body and headers."""

    def __init__(self, body: bytes) -> None:
        self.status_code = 200
        self.background = None
        self.body = body
        self.raw_headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]


def counts_response(outcomes: Outcomes, invalid: int) -> Response:
    """The documented 200, the answer to nearly all requests. The same as `json_response` with `counts_body`."""
    content = counts_body(outcomes, invalid)
    skipped, inserted, updated = content["skipped"], content["inserted"], content["updated"]
    text = f'"message": "{content["message"]}", "skipped": {skipped}, "inserted": {inserted}, "updated": {updated}'
    return _CountsResponse(b"{%b}" % text.encode())


def by_index(outcomes: Outcomes, others: Mapping[int, Outcome]) -> list[tuple[int, Outcome]]:
    """(index, outcome) of each item that has an outcome, by index. `others`: items that were not published."""
    items = [(index, outcome) for outcome, indexes in outcomes.items() for index in indexes]
    return sorted([*items, *others.items()])


def representation(order_ids: Sequence[str], refused: Mapping[int, str], outcomes: Outcomes) -> list[Json]:
    """The outcome of each order, and the reason if it is invalid. `refused`: the reason of an item, by its index."""
    items: list[Json] = []
    for index, outcome in by_index(outcomes, dict.fromkeys(refused, Outcome.INVALID)):
        item: Json = {"index": index, "order_id": order_ids[index], "outcome": outcome}
        if outcome is Outcome.INVALID:
            item["reason"] = refused.get(index, problems.REFUSED_LATER)
        items.append(item)
    return items


def accepted_response(request_id: UUID, headers: dict[str, str]) -> Response:
    """202: every order is in Kafka, and the outcome is not known yet."""
    content: Json = {"request_id": str(request_id), "status": "pending"}
    return json_response(HTTPStatus.ACCEPTED, content, {**location(request_id), **headers})


def status_response(request_id: UUID, stored: StoredRequest) -> Response:
    """The status of a request. `size` is null while nothing of the request is applied."""
    invalid = stored.invalid or 0
    unpublished: dict[int, Outcome] = {}
    if stored.is_complete:  # until then, an item without an outcome may still get one
        applied = {index for indexes in stored.outcomes.values() for index in indexes}
        unpublished = dict.fromkeys(set(range(stored.size or 0)) - applied, Outcome.INVALID)
    state = "done" if stored.is_complete else "partial" if stored.known else "pending"
    orders = [{"index": index, "outcome": outcome} for index, outcome in by_index(stored.outcomes, unpublished)]
    content: Json = {
        "request_id": str(request_id),
        "status": state,
        "size": stored.size,
        **counts_of(stored.outcomes, invalid),
        "orders": orders,
    }
    return json_response(HTTPStatus.OK, content, {} if stored.is_complete else {"Retry-After": "1"})
