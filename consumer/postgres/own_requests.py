"""The statement that lists a partner's requests from the ledger, and what its rows mean."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from contracts.own_requests import OwnRequest, Page, Place
from contracts.result import Outcome

PARTS_PER_REQUEST = 4
"""For each request of a page, so many rows of the index are read. A large request has one for each consumer batch."""
_OLDEST = datetime.min.replace(tzinfo=UTC)
_NEWEST = Place(datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))
_COUNTS = ", ".join(f"sum(json_array_length(o -> '{outcome}'))" for outcome in Outcome)

# `part` is what the index gives, a bounded number of rows. Then each request that it names is read whole, day by day:
# its counts need all of its parts, and it stands where its first event does. OFFSET 0 keeps that a search by key.
STATEMENT = f"""
WITH part AS MATERIALIZED (
  SELECT event_time, request_id FROM request_part
  WHERE partner_id = %(partner_id)s AND event_time >= %(since)s AND day >= %(since_day)s
    AND event_time <= %(time)s AND day <= %(day)s AND (event_time, request_id) < (%(time)s, %(request_id)s::uuid)
  ORDER BY event_time DESC, request_id DESC LIMIT %(parts)s),
request AS (
  SELECT r.request_id, min(w.event_time) AS event_time, max(w.request_size) AS size, max(w.request_invalid) AS invalid,
    ARRAY[{_COUNTS}] AS counts
  FROM (SELECT DISTINCT request_id FROM part) AS r
  LEFT JOIN request_key AS k ON (k.request_id, k.partner_id) = (r.request_id, %(partner_id)s),
  LATERAL (SELECT event_time, request_size, request_invalid, outcomes::json AS o FROM request_part AS p
    WHERE (p.request_id, p.partner_id) = (r.request_id, %(partner_id)s) AND p.digest IS NOT DISTINCT FROM k.digest
    OFFSET 0) AS w
  GROUP BY r.request_id)
SELECT n.parts, l.*, request.* FROM (SELECT count(*) AS parts FROM part) AS n
LEFT JOIN (SELECT event_time AS last_time, request_id AS last_request FROM part
  ORDER BY event_time, request_id LIMIT 1) AS l ON true
LEFT JOIN request ON event_time >= %(since)s AND (event_time, request.request_id) < (%(time)s, %(request_id)s::uuid)
  AND (event_time, request.request_id) >= (last_time, last_request)
ORDER BY event_time DESC, request.request_id DESC
"""


def parameters(partner_id: str, since: datetime | None, before: Place | None, limit: int) -> dict[str, Any]:
    """Of the statement. The days leave out tables that cannot have a row."""
    time, request_id = before or _NEWEST
    since = _OLDEST if since is None else since.astimezone(UTC)
    return {
        "partner_id": partner_id,
        "since": since,
        "since_day": since.date(),
        "time": time,
        "day": time.astimezone(UTC).date() if before else date.max,
        "request_id": request_id,
        "parts": PARTS_PER_REQUEST * limit,
    }


def page(rows: Sequence[tuple[Any, ...]], limit: int) -> Page:
    """`rows`: of the statement, asked for `limit` requests."""
    requests = [
        OwnRequest(Place(time, request_id), size, invalid, dict(zip(Outcome, counts, strict=True)))
        for _, _, _, request_id, time, size, invalid, counts in rows
        if request_id is not None
    ]
    parts, last_time, last_request = rows[0][:3]
    if len(requests) > limit:
        requests = requests[:limit]
        return Page(requests, requests[-1].place)
    return Page(requests, Place(last_time, last_request) if parts == PARTS_PER_REQUEST * limit else None)
