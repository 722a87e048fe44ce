"""Outcomes of orders, and the records of orders.results that carry them (design 4)."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from order_upsert.contracts import limits
from order_upsert.contracts.errors import OrdersError


class Outcome(StrEnum):
    """What became of one order. The counts of the HTTP answer follow: skipped = unchanged + invalid + stale."""

    INSERTED = "inserted"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    INVALID = "invalid"
    STALE = "stale"


class ResultError(OrdersError):
    """A record of orders.results that is not a result; whoever reads it logs it and goes on."""


Outcomes = dict[Outcome, list[int]]
"""Indexes of a request's items, by outcome; every outcome is a key."""


@dataclass(frozen=True, slots=True)
class Result:
    """The outcomes of some or all items of one request."""

    request_id: UUID
    outcomes: Outcomes


def outcomes_of(items: Iterable[tuple[int, Outcome]]) -> Outcomes:
    """(index, outcome) pairs, grouped."""
    grouped: Outcomes = {outcome: [] for outcome in Outcome}
    for index, outcome in items:
        grouped[outcome].append(index)
    return grouped


def encode_outcomes(outcomes: Outcomes) -> str:
    """The JSON that stands in a result record and, the same text, in the ledger."""
    return json.dumps({outcome.value: outcomes[outcome] for outcome in Outcome}, separators=(",", ":"))


def encode_result(request_id: UUID, outcomes_json: str) -> bytes:
    """The value of a result record, around what `encode_outcomes` gave."""
    return f'{{"request_id":"{request_id}","outcomes":{outcomes_json}}}'.encode()


def decode_result(value: bytes | None) -> Result:
    """Raises ResultError for anything that `encode_result` cannot have written."""
    try:
        loaded = json.loads(value or b"")
        request_id = UUID(loaded["request_id"])
        outcomes = {outcome: _indexes(loaded["outcomes"][outcome.value]) for outcome in Outcome}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ResultError(f"not a result record: {error!r}") from None
    return Result(request_id, outcomes)


def _indexes(indexes: Sequence[object]) -> list[int]:
    if not all(type(index) is int and 0 <= index < limits.ORDERS_PER_REQUEST_MAX for index in indexes):
        raise ValueError("an index out of range")
    return list(indexes)  # type: ignore[arg-type]
