"""Requests of partners that only read the ledger: they are let in alike, each kind with a limit of its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.requests import Request

from contracts.partner import Partner
from ingress import problems
from ingress.admission import Admission
from ingress.auth import Partners
from ingress.errors import UnavailableError
from ingress.noted import PARTNER


class LedgerReads:
    """One kind. `ready` says whether the partners are read. `reads_max`: in flight in one process, and again a share of
    them for each partner."""

    def __init__(self, partners: Partners, admission: Admission, reads_max: int, ready: Callable[[], bool]) -> None:
        self._partners = partners
        self._admission = admission
        self._reads = Admission(0, 0, reads_max)
        self._ready = ready

    @contextmanager
    def admitted(self, request: Request) -> Iterator[Partner]:
        """Around a request. Raises UnavailableError, UnauthorizedError and PartnerShareError."""
        with self._admission.request() as held, self._reads.request() as reading:
            if not self._ready():  # they are read anew now and then; until then no token is known
                raise UnavailableError(problems.NOT_READY)
            partner = self._partners.authenticate(request.headers.getlist("token"), request.scope.get("state"))
            request.scope[PARTNER] = partner.partner_id
            held.belongs_to(partner.partner_id)
            reading.belongs_to(partner.partner_id)
            yield partner
