"""What the status endpoint does before it looks into the ledger."""

import asyncio
from datetime import UTC, datetime, timedelta

from starlette.requests import Request

from contracts.ledger_reader import NoLedger
from ingress.admission import Admission
from ingress.auth import Guesses, Partners
from ingress.status import StatusEndpoint


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
