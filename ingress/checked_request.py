"""A request whose body was read: what its answer needs, and what is published of it. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from contracts import request_id
from ingress.fast_path import ParsedOrder
from ingress.idempotency import digest_of
from ingress.preferences import Preferences

Item = tuple[int, bytes, bytes]
"""The index of an order in its request, its key and its value in Kafka."""


@dataclass(frozen=True, slots=True)
class CheckedRequest:
    """One request, read and checked: what its answer needs.

    `digest` is None without an Idempotency-Key. `refused`: why an item is skipped as invalid, by its index. The orders
    themselves are not here, because a request may wait long: see `OrdersEndpoint._post`.
    """

    request_id: UUID
    partner_id: str
    digest: str | None
    preferences: Preferences
    order_ids: list[str]
    refused: dict[int, str]


def check(
    orders: list[ParsedOrder],
    key: str | None,
    partner_id: str,
    preferences: Preferences,
    new_request_id: Callable[[], UUID],
) -> tuple[CheckedRequest, list[Item]]:
    """The request, and the items to publish."""
    items: list[Item] = []
    refused: dict[int, str] = {}
    for index, order in enumerate(orders):
        if order.refused is None:
            items.append((index, order.order_id.encode(), order.canonical))
        else:
            refused[index] = order.refused
    order_ids = [order.order_id for order in orders]
    if key is None:
        own_id, digest = request_id.tagged(new_request_id(), partner_id), None
    else:
        own_id, digest = request_id.keyed(key, partner_id), digest_of(order.canonical for order in orders)
    return CheckedRequest(own_id, partner_id, digest, preferences, order_ids, refused), items
