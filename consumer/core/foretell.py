"""What the outcomes of orders would be, if they were applied to the rows as they are now. Pure.

It says what `consumer.core.fold` would of the orders of an ingress, which are the newest events of their keys, in the
right partitions. A property test holds both equal.
"""

from collections.abc import Iterable, Mapping

from consumer.core.hashing import hash_of
from contracts.result import Outcome


def foretell(orders: Iterable[tuple[str, bytes]], hashes: Mapping[str, bytes]) -> list[Outcome]:
    """`orders`: ids and canonical values, in their order. `hashes`: the content hash of each order that has a row."""
    now = dict(hashes)
    outcomes: list[Outcome] = []
    for order_id, canonical in orders:
        value_hash, before = hash_of(canonical), now.get(order_id)
        now[order_id] = value_hash
        if before is None:
            outcomes.append(Outcome.INSERTED)
        else:
            outcomes.append(Outcome.UNCHANGED if before == value_hash else Outcome.UPDATED)
    return outcomes
