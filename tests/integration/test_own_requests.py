"""A partner's own requests in the ledger, newest first, in pages."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import psycopg
import pytest

from consumer.applier import Applier
from consumer.postgres import own_requests
from consumer.postgres.ledger_reader import PostgresLedgerReader
from consumer.postgres.own_requests import PARTS_PER_REQUEST
from consumer.postgres.session import SessionHolder
from contracts.own_requests import OwnRequest, Page, Place
from contracts.result import Outcome
from support.events import TIME, batch, event

DAYS = 7
DIGEST = "a" * 32
Sql = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def applier(database: str) -> Iterator[Applier]:
    holder = SessionHolder(database, DAYS)
    yield Applier(holder, lambda _: None)
    holder.close()


def pages(url: str, partner: str, limit: int, since: datetime | None = None) -> list[Page]:
    """All of them, each asked for with the place of the one before."""

    async def read() -> list[Page]:
        ledger = PostgresLedgerReader(url)
        await ledger.open()
        try:
            found = [await ledger.list_requests(partner, since, None, limit)]
            while found[-1].rest_before is not None:
                found.append(await ledger.list_requests(partner, since, found[-1].rest_before, limit))
            return found
        finally:
            await ledger.close()

    return asyncio.run(read())


def listed(url: str, partner: str, limit: int, since: datetime | None = None) -> list[OwnRequest]:
    found = pages(url, partner, limit, since)
    assert all(len(page.requests) <= limit for page in found)
    return [request for page in found for request in page.requests]


def numbers(requests: list[OwnRequest]) -> list[int]:
    return [request.place.request_id.int for request in requests]


def test_a_partner_lists_its_own_requests_with_their_counts(applier: Applier, database: str) -> None:
    later = TIME + timedelta(days=1, milliseconds=5)
    applier.apply(batch([event(0, "1", "a", request=1), event(1, "2", "a", request=1, index=1)]))
    applier.apply(batch([event(2, "2", "a", request=1, index=2, time=later)]))  # the rest of it, a day later
    applier.apply(batch([event(3, "3", "a", request=2, time=later, digest=DIGEST)]))
    applier.apply(batch([event(4, "1", "a", request=3, partner="q", time=later)]))
    keyed, plain = listed(database, "p", 10)
    assert keyed.place == Place(later, UUID(int=2))
    assert plain.place == Place(TIME, UUID(int=1))
    assert {outcome: number for outcome, number in plain.counts.items() if number} == {
        Outcome.INSERTED: 1,
        Outcome.UPDATED: 1,
        Outcome.UNCHANGED: 1,
    }
    assert (plain.size, plain.invalid, plain.is_complete) == (1000, None, False)
    assert numbers(listed(database, "q", 10)) == [3]
    assert listed(database, "r", 10) == []


def test_only_what_was_published_since_then_is_listed(applier: Applier, database: str) -> None:
    offsets = count()
    for day in range(4):
        applier.apply(batch([event(next(offsets), str(day), request=day, time=TIME + timedelta(days=day))]))
    assert numbers(listed(database, "p", 2)) == [3, 2, 1, 0]
    for hours, expected in ((0, [3, 2, 1, 0]), (1, [3, 2, 1]), (48, [3, 2]), (72, [3]), (73, [])):
        assert numbers(listed(database, "p", 2, TIME + timedelta(hours=hours))) == expected
    (page,) = pages(database, "p", 4, TIME + timedelta(hours=1))
    assert page.rest_before is None


@pytest.mark.parametrize("limit", [1, 3])
def test_pages_have_each_request_once_whatever_it_is_made_of(
    applier: Applier, sql: Sql, database: str, limit: int
) -> None:
    """Requests at the same moment, requests of many parts, parts that come between those of others."""
    applier.apply(batch([event(0, "0", request=9_999)]))
    many = 3 * PARTS_PER_REQUEST * limit
    sql(
        "INSERT INTO request_part (request_id, partition, first_offset, day, partner_id, outcomes, event_time) "
        "SELECT lpad(to_hex(r), 32, '0')::uuid, 1, r * 1000 + part, %s, 'p', "
        """'{"inserted":[1],"updated":[],"unchanged":[],"invalid":[2],"stale":[]}', """
        "%s + make_interval(secs => r / 3 + part) "
        "FROM generate_series(1, 12) AS r, generate_series(0, CASE WHEN r %% 5 = 0 THEN %s ELSE r %% 3 END) AS part",
        TIME.date(), TIME, many,
    )  # fmt: skip
    found = listed(database, "p", limit)
    times = {request: TIME + timedelta(seconds=request // 3) for request in range(1, 13)} | {9_999: TIME}
    assert numbers(found) == sorted(times, key=lambda request: (times[request], request), reverse=True)
    for request in found:
        if (number := request.place.request_id.int) != 9_999:
            parts = many + 1 if number % 5 == 0 else number % 3 + 1
            assert (request.counts[Outcome.INSERTED], request.counts[Outcome.INVALID]) == (parts, parts)


def plan(url: str, since: datetime | None) -> str:
    asked = own_requests.parameters("p1", since, None, 50)
    with psycopg.connect(url, cursor_factory=psycopg.ClientCursor) as connection:
        rows = connection.execute(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {own_requests.STATEMENT}".encode(), asked)
        return "\n".join(line for (line,) in rows)


def test_a_page_of_a_large_ledger_reads_by_the_index_and_only_days_that_count(
    applier: Applier, sql: Sql, database: str
) -> None:
    """Days of 10,000 requests, a hundredth of them of this partner."""
    offsets = count()
    for day in range(4):
        applier.apply(batch([event(next(offsets), str(day), request=day, time=TIME + timedelta(days=day))]))
    sql(
        "INSERT INTO request_part (request_id, partition, first_offset, day, partner_id, outcomes, event_time) "
        "SELECT gen_random_uuid(), 1, n, %s + n %% 4, 'p' || n / 4 %% 100, "
        """'{"inserted":[1],"updated":[],"unchanged":[],"invalid":[],"stale":[]}', """
        "%s + make_interval(days => n %% 4, secs => n) FROM generate_series(1, 40000) AS n",
        TIME.date(), TIME.astimezone(UTC),
    )  # fmt: skip
    sql("ANALYZE request_part")
    whole, newest = plan(database, None), plan(database, TIME + timedelta(days=3))
    for text in (whole, newest):
        assert "Seq Scan on request_part" not in text, text
    assert whole.count("using request_part_20260324_partner_id_event_time_idx") == 1, whole
    assert newest.count("_partner_id_event_time_idx") == 1, newest
    assert len(listed(database, "p1", 100)) == 400
