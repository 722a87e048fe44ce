"""What the status endpoint does before it looks into the ledger."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from contracts.event import RequestKey
from contracts.ledger_reader import NoLedger
from contracts.partner import Partner
from contracts.result import StoredRequest
from ingress.admission import Admission
from ingress.auth import Guesses, Partners
from ingress.status import STATUS_REQUESTS_MAX, StatusEndpoint


class BusyLedger(NoLedger):
    """Does not answer until it is told to."""

    def __init__(self) -> None:
        self.asked = list[str]()
        self.answers = asyncio.Event()

    async def read(self, key: RequestKey) -> StoredRequest | None:
        self.asked.append(key.partner_id)
        await self.answers.wait()
        return None


def status_of(*, ready: bool) -> int:
    """The status that a token gets which is not known (yet)."""
    endpoint = StatusEndpoint(
        Partners(Guesses(lambda: 0.0, lambda: None)),
        Admission(10, 1000),
        NoLedger(),
        timedelta(days=7),
        lambda: ready,
        lambda: datetime.now(UTC),
    )
    headers = [(b"token", b"ord_live_of_a_partner")]
    request = Request({"type": "http", "method": "GET", "headers": headers, "path_params": {"request_id": "r"}})
    return asyncio.run(endpoint.get(request)).status_code


def test_no_token_is_refused_while_the_partners_are_read() -> None:
    """They are read anew if their topic is another one, or if its client gets nothing."""
    assert status_of(ready=False) == 503
    assert status_of(ready=True) == 401


def test_no_partner_takes_all_of_the_ledger_for_itself() -> None:
    partners = Partners(Guesses(lambda: 0.0, lambda: None))
    for name in ("hog", "other"):
        partners.put(name, Partner(partner_id=name, tokens=[]).with_token(name, datetime(2026, 1, 1, tzinfo=UTC)))

    async def run() -> None:
        ledger = BusyLedger()
        endpoint = StatusEndpoint(
            partners, Admission(1, 1), ledger, timedelta(days=7), lambda: True, lambda: datetime.now(UTC)
        )

        def ask(partner_id: str) -> "asyncio.Task[Response]":
            headers = [(b"token", partner_id.encode())]
            path = {"request_id": str(UUID(int=1))}
            request = Request({"type": "http", "method": "GET", "headers": headers, "path_params": path})
            return asyncio.ensure_future(endpoint.get(request))

        asked = [ask("hog") for _ in range(STATUS_REQUESTS_MAX)] + [ask("other")]
        await asyncio.sleep(0)
        assert ledger.asked == ["hog"] * (STATUS_REQUESTS_MAX // 2) + ["other"]
        ledger.answers.set()
        statuses = [(await answer).status_code for answer in asked]
        assert statuses.count(429) == STATUS_REQUESTS_MAX // 2
        assert statuses[-1] == 404

    asyncio.run(run())
