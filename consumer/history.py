"""Every version of one order, decided from the log as the consumer decides it. Pure: no client library, no clock."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consumer.core.decode import decode
from consumer.core.fold import RowState, fold
from consumer.core.record import Decoded, Event, OrderKey, Record, Stage
from contracts.order import Order
from contracts.result import Outcome


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs from the version before; None where there is no such field."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Version:
    """One event of an order. `order` is None where the record is no order; `reason` says why it was not applied."""

    record: Record
    decoded: Decoded
    outcome: Outcome | None
    changes: list[Change]
    reason: str | None

    @property
    def partner_id(self) -> str | None:
        return None if self.decoded.context is None else self.decoded.context.partner_id

    @property
    def order(self) -> Order | None:
        return self.decoded.order if isinstance(self.decoded, Event) else None

    @property
    def time(self) -> datetime:
        """When the broker appended it."""
        return self.record.time


class History:
    """Takes the events of one order_id, of any partners, in offset order, and gives the version that each one made."""

    def __init__(self, refused: Mapping[tuple[int, int], str]) -> None:
        """`refused`: (partition, offset) of events that a consumer put into the dead-letter topic, and why."""
        self._refused = refused
        self._states: dict[OrderKey, RowState] = {}
        self._orders: dict[OrderKey, Order] = {}
        self._letters: dict[OrderKey, int] = {}

    def versions(self, records: Iterable[Record]) -> Iterator[Version]:
        for record in records:
            yield self._version(record)

    def _version(self, record: Record) -> Version:
        decoded = decode(record)
        why = self._refused.get((record.partition, record.offset))
        if isinstance(decoded, Event) and why is not None:
            decoded = decoded.rejected(Stage.TASK_PUT, "DeadLetter", why)
        folded = fold([decoded], self._states, self._letters)
        for key, letter in folded.letters.items():
            if letter is None:
                del self._letters[key]
            else:
                self._letters[key] = letter
        outcome = folded.outcomes[0][1] if folded.outcomes else None
        if folded.rejected:
            return Version(record, folded.rejected[0], outcome, [], folded.rejected[0].reason)
        assert isinstance(decoded, Event)  # what is no event was rejected
        changes: list[Change] = []
        if decoded.key in folded.changed:
            changes = differences(self._orders.get(decoded.key), decoded.order)
            self._orders[decoded.key] = decoded.order
            self._states[decoded.key] = RowState(record.partition, decoded.place, decoded.content_hash)
        return Version(record, decoded, outcome, changes, None)


def differences(before: Order | None, after: Order) -> list[Change]:
    """Field by field, in the order of the model. A product is known by its place in the list."""
    old, new = _flat(before), _flat(after)
    return [Change(name, old.get(name), new.get(name)) for name in {**new, **old} if old.get(name) != new.get(name)]


def _flat(order: Order | None) -> dict[str, Any]:
    if order is None:
        return {}
    fields = order.model_dump(exclude_none=True)
    products = fields.pop("products")
    lines = {
        f"products[{place}].{name}": value for place, product in enumerate(products) for name, value in product.items()
    }
    return {**fields, **lines}
