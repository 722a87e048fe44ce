"""Outcomes of orders, and the records of orders.results that carry them (design 4)."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from typing import Any
from uuid import UUID

from pydantic_core import from_json

from contracts import limits
from contracts.errors import OrdersError
from contracts.headers import CORRELATION_ID


class Outcome(StrEnum):
    """What became of one order. The counts of the HTTP answer follow: skipped = unchanged + invalid + stale."""

    INSERTED = "inserted"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    INVALID = "invalid"
    STALE = "stale"


SKIPPED = Outcome.UNCHANGED, Outcome.INVALID, Outcome.STALE
_IN_ORDER = tuple(Outcome)
_JSON = "{" + ",".join(f'"{outcome}":%s' for outcome in _IN_ORDER) + "}"


class ResultError(OrdersError):
    """A record of orders.results that is not a result. The reader logs it and goes on."""


Outcomes = dict[Outcome, list[int]]
"""Indexes of a request's items, by outcome. Every outcome is a key."""


@dataclass(slots=True)
class Result:
    """The outcomes of some or all items of one request. Treat it as frozen.

    `request_id`: the text of a UUID. `digest` is set for a request with an Idempotency-Key. `conflict`: the key belongs
    to a request with another digest, so no item of this request is or will be applied. `stored`: the items were sent
    before and already have outcomes.
    """

    request_id: str
    outcomes: Outcomes
    digest: str | None = None
    conflict: bool = False
    stored: bool = False


@dataclass(slots=True)
class StoredRequest:
    """What the ledger has of one request so far.

    `digest` is the digest of the body that has its Idempotency-Key. `size` and `invalid` (the number of items that were
    not published) are None if the writer did not send them, or if nothing is applied yet.
    """

    digest: str | None = None
    size: int | None = None
    invalid: int | None = None
    outcomes: Outcomes = field(default_factory=lambda: outcomes_of(()))

    @property
    def known(self) -> int:
        """The number of items that have an outcome."""
        return sum(map(len, self.outcomes.values()))

    @property
    def is_complete(self) -> bool:
        return self.size is not None and self.known + (self.invalid or 0) >= self.size

    def merge(self, outcomes: Outcomes) -> None:
        for outcome, indexes in outcomes.items():
            self.outcomes[outcome] += indexes


def outcomes_of(items: Iterable[tuple[int, Outcome]]) -> Outcomes:
    """(index, outcome) pairs, grouped by outcome."""
    grouped: Outcomes = {outcome: [] for outcome in Outcome}
    for index, outcome in items:
        grouped[outcome].append(index)
    return grouped


def outcomes_by(indexes: Sequence[int], outcomes: Sequence[Outcome]) -> Outcomes:
    """The same for an outcome of each index. Faster if there are many."""
    if outcomes and outcomes.count(outcomes[0]) == len(outcomes):
        return {outcome: [*indexes] if outcome is outcomes[0] else [] for outcome in _IN_ORDER}
    return {
        outcome: [index for index, found in zip(indexes, outcomes, strict=True) if found is outcome]
        for outcome in _IN_ORDER
    }


def encode_outcomes(outcomes: Outcomes) -> str:
    """The JSON text for a result record and for the ledger, which are the same."""
    return (_JSON % tuple([outcomes[outcome] for outcome in _IN_ORDER])).replace(" ", "")


def decode_outcomes(text: str) -> Outcomes:
    """Reads a text of `encode_outcomes`. Raises ResultError for any other text."""
    try:
        return _outcomes(json.loads(text))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ResultError(f"not outcomes: {error!r}") from None


def indexes_of(text: str) -> Iterable[int]:
    """All indexes in a text of `encode_outcomes`. Does not validate the text."""
    return chain.from_iterable(json.loads(text).values())


def encode_result(
    request_id: UUID, outcomes_json: str, *, digest: str | None = None, conflict: bool = False, stored: bool = False
) -> bytes:
    """The value of a result record, around a text of `encode_outcomes`. Leaves out what is not set."""
    about = f',"digest":"{digest}"' if digest else ""
    about += ',"conflict":true' if conflict else ""
    about += ',"stored":true' if stored else ""
    return f'{{"request_id":"{request_id}"{about},"outcomes":{outcomes_json}}}'.encode()


def encode_results(results: Iterable[bytes]) -> bytes:
    """One value for the results of several requests. `results`: values of `encode_result`."""
    return b'{"results":[' + b",".join(results) + b"]}"


def decode_results(value: bytes | None) -> list[Result]:
    """Reads a value of `encode_result` or of `encode_results`. Raises ResultError for any other value."""
    try:
        loaded = from_json(value or b"", allow_inf_nan=False)
        results = loaded.get("results", [loaded])
        if type(results) is not list:
            raise TypeError("the results are not a list")
        return list(map(_result, results))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ResultError(f"not a result record: {error!r}") from None


def _result(loaded: dict[str, Any]) -> Result:
    request_id = loaded["request_id"]
    if CORRELATION_ID.pattern.fullmatch(request_id) is None:
        raise ValueError("the request_id is not a UUID")
    return Result(
        request_id,
        _outcomes(loaded["outcomes"]),
        loaded.get("digest"),
        loaded.get("conflict") is True,
        loaded.get("stored") is True,
    )


def _outcomes(loaded: dict[str, Sequence[object]]) -> Outcomes:
    return {outcome: _indexes(loaded[outcome]) for outcome in _IN_ORDER}


def _indexes(indexes: Sequence[object]) -> list[int]:
    if indexes == []:
        return []
    valid = [index for index in indexes if type(index) is int and 0 <= index < limits.ORDERS_PER_REQUEST_MAX]
    if valid != indexes:
        raise ValueError("an index is not a number, or out of range")
    return valid
