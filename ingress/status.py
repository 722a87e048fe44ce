"""GET /api/integration/orders/requests/{request_id}: the status of a request (design 7)."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from contracts.event import RequestKey
from contracts.ledger_reader import LedgerReader, LedgerUnavailableError
from contracts.partner import Partner
from contracts.request_id import belongs_to, issued_at
from contracts.result import StoredRequest
from ingress import problems
from ingress.admission import Admission
from ingress.answers import respond, status_response
from ingress.auth import Partners
from ingress.errors import UnavailableError, UnknownRequestError
from ingress.ledger_reads import LedgerReads

STATUS_REQUESTS_MAX = 128
"""In flight in one process: fewer than may wait for Postgres, and again a share of them for each partner."""


class StatusEndpoint:
    """Reads only the ledger, so any ingress process can answer, before and after restarts.

    `kept`: how long the ledger keeps a request. `ready` says whether the partners are read.
    """

    def __init__(
        self,
        partners: Partners,
        admission: Admission,
        ledger: LedgerReader,
        kept: timedelta,
        ready: Callable[[], bool],
        now: Callable[[], datetime],
    ) -> None:
        self._reads = LedgerReads(partners, admission, STATUS_REQUESTS_MAX, ready)
        self._ledger = ledger
        self._kept = kept
        self._now = now

    async def get(self, request: Request) -> Response:
        return await respond(request, self._get)

    async def _get(self, request: Request) -> Response:
        with self._reads.admitted(request) as partner:
            request_id = _request_id(request.path_params["request_id"])
            try:
                stored = await self._ledger.read(RequestKey(request_id, partner.partner_id))
            except LedgerUnavailableError as error:
                raise UnavailableError(problems.LEDGER_UNREADABLE) from error
            if stored is None and not self._may_be_pending(request_id, partner):
                raise UnknownRequestError
            return status_response(request_id, stored or StoredRequest())

    def _may_be_pending(self, request_id: UUID, partner: Partner) -> bool:
        """Whether an id that the ledger does not have may be pending.

        Only published requests get an id into an answer. So an id of this partner is pending, or no longer kept.
        """
        issued = issued_at(request_id)
        return belongs_to(request_id, partner.partner_id) and (issued is None or self._now() - issued < self._kept)


def _request_id(text: str) -> UUID:
    try:
        request_id = UUID(text)
    except ValueError:
        raise UnknownRequestError from None
    if str(request_id) != text:  # one resource has one spelling
        raise UnknownRequestError
    return request_id
