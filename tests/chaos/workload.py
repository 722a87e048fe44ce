"""From a seed to the calls of the partners. Pure: all calls of a client are known before the first one."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

from contracts.order import Order
from support.orders import an_order

PARTNERS = ("ant", "bee", "cat", "dog")
INGRESSES = 2
HOT_KEYS, COLD_KEYS, VERSIONS = 6, 3000, 5
INVALID = -1
"""The version of an order that makes no sense: it is skipped and counted."""

Item = tuple[str, int]
"""(order_id, version): partner, order_id and version give the whole order."""

Sort = Literal["orders", "broken", "foreign token"]


@dataclass(frozen=True, slots=True)
class Planned:
    """One call of a client.

    `twin`: the same call is made on another ingress at the same moment. `attempts_max`: how often it is made where the
    answer says nothing about its outcome; `hang_up_s`: the client leaves so long after it has sent everything.
    """

    partner: str
    items: tuple[Item, ...]
    ingress: int
    think_s: float
    sort: Sort = "orders"
    key: str | None = None
    twin: bool = False
    attempts_max: int = 1
    hang_up_s: float | None = None
    ask_status: bool = False
    prefer: str | None = None


def calls(seed: int, client: int) -> Iterator[Planned]:
    """What this client does, one call after another, forever."""
    chosen = random.Random(f"client {seed} {client}")
    past: list[Planned] = []
    keys = 0
    while True:
        kind = chosen.random()
        if past and kind < 0.12:  # an old call again: its orders may be stale by now
            planned = replace(chosen.choice(past), key=None, hang_up_s=None, twin=False)
        elif past and kind < 0.24:  # a partner that asks again, with its key if it has one
            planned = replace(chosen.choice(past), hang_up_s=None)
        elif past and kind < 0.28:  # another body under a key that was used
            planned = replace(chosen.choice(past), items=_items(chosen), hang_up_s=None)
        elif past and kind < 0.30:  # partners do not share keys
            planned = replace(chosen.choice(past), partner=chosen.choice(PARTNERS), hang_up_s=None)
        else:
            planned = _fresh(chosen)
            if chosen.random() < 0.45:
                keys += 1
                planned = replace(planned, key=f"{client}-{keys}", attempts_max=3)
        planned = replace(
            planned,
            ingress=chosen.randrange(INGRESSES),
            think_s=round(chosen.expovariate(5), 4),
            twin=planned.key is not None and chosen.random() < 0.2,
        )
        if planned.sort == "orders":
            past = [*past[-60:], planned]
        yield planned


def _fresh(chosen: random.Random) -> Planned:
    rare = chosen.random()
    return Planned(
        partner=chosen.choice(PARTNERS),
        items=_items(chosen),
        ingress=0,
        think_s=0,
        sort="broken" if rare < 0.03 else "foreign token" if rare < 0.05 else "orders",
        attempts_max=2 if chosen.random() < 0.3 else 1,
        hang_up_s=round(chosen.choice((0, 0.001, 0.01, 0.2)), 4) if chosen.random() < 0.05 else None,
        ask_status=chosen.random() < 0.1,
        prefer=chosen.choice(("respond-async", "return=representation", "wait=3", "handling=strict"))
        if chosen.random() < 0.15
        else None,
    )


def _items(chosen: random.Random) -> tuple[Item, ...]:
    kind = chosen.random()
    size = 1 if kind < 0.4 else chosen.randint(2, 20) if kind < 0.94 else chosen.randint(21, 500)
    return tuple(_item(chosen) for _ in range(size))


def _item(chosen: random.Random) -> Item:
    if chosen.random() < 0.02:
        return f"cold-{chosen.randrange(COLD_KEYS)}", INVALID
    hot = chosen.random() < 0.3
    order_id = f"hot-{chosen.randrange(HOT_KEYS)}" if hot else f"cold-{chosen.randrange(COLD_KEYS)}"
    return order_id, chosen.randrange(VERSIONS)


def order_of(partner: str, item: Item) -> dict[str, Any]:
    """The order on the wire. It names its partner, so the checker sees data that went to another one."""
    order_id, version = item
    return an_order(
        order_id,
        name=f"{partner} {version}",
        user_id=PARTNERS[version % len(PARTNERS)],  # partners' names, which must mean nothing
        total_amount=1000 + version,
        discount=min(version, 0),
    )


@cache
def canonical_of(partner: str, item: Item) -> bytes:
    """The order as it must stand on the topic."""
    return Order.model_validate(order_of(partner, item)).canonical()
