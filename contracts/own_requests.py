"""A partner's own requests, as an ingress lists them: newest first, in pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from contracts.result import Outcome

REQUESTS_PER_PAGE_MAX = 100


class Place(NamedTuple):
    """Where a request stands in the list: by the time of its first event, then by its id."""

    time: datetime
    request_id: UUID


@dataclass(frozen=True, slots=True)
class OwnRequest:
    """One request, and how many of its items have each outcome so far.

    `size` and `invalid` (the number of items that were not published) are None if the writer did not send them.
    """

    place: Place
    size: int | None
    invalid: int | None
    counts: Mapping[Outcome, int]

    @property
    def is_complete(self) -> bool:
        return self.size is not None and sum(self.counts.values()) + (self.invalid or 0) >= self.size


@dataclass(frozen=True, slots=True)
class Page:
    """`rest_before`: the other requests stand before this place; None if there are none. A page may be empty and not
    the last one."""

    requests: Sequence[OwnRequest]
    rest_before: Place | None
