"""GET /api/integration/orders/requests: a partner's own requests, newest first, in pages."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from urllib.parse import urlencode
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from contracts.headers import parse_rfc_3339, rfc_3339
from contracts.ledger_reader import LedgerReader, LedgerUnavailableError
from contracts.own_requests import REQUESTS_PER_PAGE_MAX, OwnRequest, Page, Place
from contracts.problem import Problem
from contracts.result import SKIPPED, Outcome
from contracts.strict_json import Violation
from ingress import bad_requests, problems
from ingress.admission import Admission
from ingress.answers import respond
from ingress.auth import Partners
from ingress.errors import UnavailableError
from ingress.json_answers import Json, json_response
from ingress.ledger_reads import LedgerReads

REQUESTS_PATH = "/api/integration/orders/requests"
REQUESTS_PER_PAGE = 50
"""Without `limit`."""
LISTS_MAX = 32
"""In flight in one process, and again a share of them for each partner. A page costs more than a status."""
Value = TypeVar("Value")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR = re.compile(r"([0-9]{1,17})\.([0-9a-f]{32})", re.ASCII)


class OwnRequestsEndpoint:
    """Reads only the ledger. `ready` says whether the partners are read."""

    def __init__(
        self, partners: Partners, admission: Admission, ledger: LedgerReader, ready: Callable[[], bool]
    ) -> None:
        self._lists = LedgerReads(partners, admission, LISTS_MAX, ready)
        self._ledger = ledger

    async def get(self, request: Request) -> Response:
        return await respond(request, self._get)

    async def _get(self, request: Request) -> Response:
        with self._lists.admitted(request) as partner:
            since = _read(request, "since", parse_rfc_3339, bad_requests.NOT_A_TIME)
            limit = _read(request, "limit", parse_limit, bad_requests.NOT_A_LIMIT) or REQUESTS_PER_PAGE
            before = _read(request, "cursor", parse_cursor, bad_requests.NOT_A_CURSOR)
            try:
                page = await self._ledger.list_requests(partner.partner_id, since, before, limit)
            except LedgerUnavailableError as error:
                raise UnavailableError(problems.LEDGER_UNREADABLE) from error
            return page_response(page, since, limit)


def _read(request: Request, name: str, parse: Callable[[str], Value | None], wrong: Problem) -> Value | None:
    """The parameter, or None without it. Raises Violation if it is wrong, or there more than once."""
    texts = request.query_params.getlist(name)
    if not texts:
        return None
    value = parse(texts[0]) if len(texts) == 1 else None
    if value is None:
        raise Violation(name, wrong.said(requests_max=REQUESTS_PER_PAGE_MAX))
    return value


def parse_limit(text: str) -> int | None:
    """1 to REQUESTS_PER_PAGE_MAX. None for any other text."""
    if not re.fullmatch("[1-9][0-9]{0,5}", text, re.ASCII) or int(text) > REQUESTS_PER_PAGE_MAX:
        return None
    return int(text)


def cursor_of(place: Place) -> str:
    return f"{(place.time - _EPOCH) // timedelta(microseconds=1)}.{place.request_id.hex}"


def parse_cursor(text: str) -> Place | None:
    """A text of `cursor_of`. None for any other text."""
    match = _CURSOR.fullmatch(text)
    return None if match is None else Place(_EPOCH + timedelta(microseconds=int(match[1])), UUID(match[2]))


def page_response(page: Page, since: datetime | None, limit: int) -> Response:
    """One page of the list. `since` and `limit`: as they were asked for."""
    link: dict[str, str] = {}
    rest: str | None = None
    if page.rest_before is not None:
        asked = {} if since is None else {"since": rfc_3339(since, "microseconds")}
        rest = f"{REQUESTS_PATH}?{urlencode({**asked, 'limit': limit, 'cursor': cursor_of(page.rest_before)})}"
        link["Link"] = f'<{rest}>; rel="next"'
    return json_response(200, {"requests": list(map(_item, page.requests)), "next": rest}, link)


def _item(request: OwnRequest) -> Json:
    return {
        "request_id": str(request.place.request_id),
        "published_at": rfc_3339(request.place.time),
        "status": "done" if request.is_complete else "partial",
        "size": request.size,
        "skipped": sum(request.counts[outcome] for outcome in SKIPPED) + (request.invalid or 0),
        "inserted": request.counts[Outcome.INSERTED],
        "updated": request.counts[Outcome.UPDATED],
    }
