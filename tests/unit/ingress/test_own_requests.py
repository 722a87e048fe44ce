"""The list of a partner's own requests: its parameters, its pages, and who may ask how often."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response

from contracts.ledger_reader import NoLedger
from contracts.own_requests import REQUESTS_PER_PAGE_MAX, OwnRequest, Page, Place
from contracts.partner import Partner
from contracts.result import Outcome
from ingress.admission import Admission
from ingress.auth import Guesses, Partners
from ingress.own_requests import LISTS_MAX, REQUESTS_PER_PAGE, OwnRequestsEndpoint, cursor_of, parse_cursor

TIME = datetime(2026, 11, 24, 10, 0, 0, 123456, tzinfo=UTC)
PLACE = Place(TIME, UUID(int=7))
COUNTS = dict.fromkeys(Outcome, 1)


class ListedLedger(NoLedger):
    """Notes what it is asked, and gives one page. `wait`: answers only after it."""

    def __init__(self, page: Page, wait: asyncio.Event | None = None) -> None:
        self.asked = list[tuple[object, ...]]()
        self._page = page
        self._wait = wait

    async def list_requests(self, partner_id: str, since: datetime | None, before: Place | None, limit: int) -> Page:
        self.asked.append((partner_id, since, before, limit))
        if self._wait is not None:
            await self._wait.wait()
        return self._page


def an_endpoint(ledger: NoLedger, *, ready: bool = True) -> OwnRequestsEndpoint:
    partners = Partners(Guesses(lambda: 0.0, lambda: None))
    for name in ("p", "q"):
        partners.put(name, Partner(partner_id=name, tokens=[]).with_token(name, datetime(2026, 1, 1, tzinfo=UTC)))
    return OwnRequestsEndpoint(partners, Admission(1, 1), ledger, lambda: ready)


async def ask(endpoint: OwnRequestsEndpoint, query: str = "", token: str = "p") -> Response:
    scope = {"type": "http", "method": "GET", "headers": [(b"token", token.encode())], "query_string": query.encode()}
    return await endpoint.get(Request(scope))


def answered(query: str, page: Page | None = None) -> tuple[int, dict[str, Any], list[tuple[object, ...]]]:
    ledger = ListedLedger(page or Page([], None))
    response = asyncio.run(ask(an_endpoint(ledger), query))
    return response.status_code, json.loads(bytes(response.body)), ledger.asked


def test_a_page_has_the_counts_of_each_request_and_leads_to_the_next_one() -> None:
    done, foreign = OwnRequest(PLACE, 8, 3, COUNTS), OwnRequest(PLACE, None, None, COUNTS)
    status, content, asked = answered("since=2026-11-24T00:00:00%2B01:00&limit=2", Page([done, foreign], PLACE))
    since = datetime(2026, 11, 23, 23, tzinfo=UTC)
    assert (status, asked) == (200, [("p", since, None, 2)])
    item = {"request_id": str(PLACE.request_id), "published_at": "2026-11-24T10:00:00.123Z"}
    assert content["requests"] == [
        {**item, "status": "done", "size": 8, "skipped": 6, "inserted": 1, "updated": 1},
        {**item, "status": "partial", "size": None, "skipped": 3, "inserted": 1, "updated": 1},
    ]
    assert answered(urlsplit(content["next"]).query)[2] == [("p", since, PLACE, 2)]
    assert answered("") == (200, {"requests": [], "next": None}, [("p", None, None, REQUESTS_PER_PAGE)])


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("since=yesterday", "since"),
        ("since=2026-11-24", "since"),
        ("since=2026-11-24T10:00:00", "since"),
        ("since=2026-11-24T10:00:00+01:00", "since"),  # a plus is a space there
        ("since=2026-02-30T10:00:00Z", "since"),
        ("since=0001-01-01T00:00:00%2B23:59", "since"),
        ("since=", "since"),
        ("since=2026-11-24T10:00:00Z&since=2026-11-24T10:00:00Z", "since"),
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=1.5", "limit"),
        ("limit=%D9%A1", "limit"),
        ("limit=01", "limit"),
        (f"limit={REQUESTS_PER_PAGE_MAX + 1}", "limit"),
        (f"limit={'9' * 5000}", "limit"),
        ("cursor=", "cursor"),
        ("cursor=x", "cursor"),
        (f"cursor={'9' * 18}.{'0' * 32}", "cursor"),
        (f"cursor=1.{'G' * 32}", "cursor"),
        ("cursor=%ff%00", "cursor"),
    ],
)
def test_a_wrong_parameter_is_named(query: str, path: str) -> None:
    status, content, asked = answered(query)
    assert (status, content["path"], asked) == (400, path, [])
    assert content["error"].startswith("Should be sent once")


@given(st.datetimes(datetime(1970, 1, 1), datetime(3000, 1, 1), timezones=st.just(UTC)), st.uuids())  # noqa: DTZ001
def test_a_cursor_is_read_as_it_was_written(time: datetime, request_id: UUID) -> None:
    assert parse_cursor(cursor_of(Place(time, request_id))) == Place(time, request_id)


@given(st.text(st.sampled_from("0123456789.abcdefg+-_ \u0661"), max_size=60))
def test_whatever_a_cursor_says_it_is_a_place_or_nothing(text: str) -> None:
    place = parse_cursor(text)
    assert place is None or parse_cursor(cursor_of(place)) == place


def test_without_a_ledger_or_a_token_nothing_is_listed() -> None:
    assert asyncio.run(ask(an_endpoint(NoLedger()))).status_code == 503
    assert asyncio.run(ask(an_endpoint(NoLedger()), token="x")).status_code == 401
    assert asyncio.run(ask(an_endpoint(NoLedger(), ready=False))).status_code == 503


def test_no_partner_takes_all_lists_for_itself() -> None:
    async def run() -> tuple[list[int], list[tuple[object, ...]]]:
        wait = asyncio.Event()
        ledger = ListedLedger(Page([], None), wait)
        endpoint = an_endpoint(ledger)
        asked = [asyncio.ensure_future(ask(endpoint, token=name)) for name in ["p"] * LISTS_MAX + ["q"]]
        await asyncio.sleep(0)
        wait.set()
        return [(await answer).status_code for answer in asked], ledger.asked

    statuses, asked = asyncio.run(run())
    assert statuses.count(429) == LISTS_MAX // 2
    assert statuses[-1] == 200
    assert [partner for partner, *_ in asked] == ["p"] * (LISTS_MAX // 2) + ["q"]


def test_times_of_a_page_are_to_the_microsecond_in_its_cursor() -> None:
    """A page that began again a millisecond off would repeat a request, or leave one out."""
    later = Place(TIME + timedelta(microseconds=1), UUID(int=7))
    assert cursor_of(later) != cursor_of(PLACE)
