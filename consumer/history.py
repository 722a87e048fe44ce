"""Every version of one order, decided from the topic as the consumer decides it. No client library, no clock."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consumer.core.batch import Batch
from consumer.core.decode import decode
from consumer.core.fold import RowState, fold
from consumer.core.record import Decoded, Event, OrderKey, Record, Stage
from contracts.order import Order
from contracts.result import Outcome


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs from the version before. None if a version does not have the field."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Version:
    """One event of an order. `order` is None if the record is not an order. `reason` says why it was not applied."""

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
        """When the broker appended the record."""
        return self.record.time


class History:
    """Takes the events of one order_id, of all partners, in offset order. Gives the version that each event made."""

    def __init__(self, why_refused: Callable[[Record], str | None] = lambda _: None) -> None:
        """`why_refused`: why a consumer wrote an event to the dead-letter topic; None if it did not."""
        self._why_refused = why_refused
        self._states: dict[OrderKey, RowState] = {}
        self._orders: dict[OrderKey, Order] = {}
        self._letters: dict[OrderKey, int] = {}

    def versions(self, records: Iterable[Record]) -> Iterator[Version]:
        for record in records:
            yield self._version(record)

    def _version(self, record: Record) -> Version:
        decoded = decode(record)
        why = self._why_refused(record)
        if isinstance(decoded, Event) and why is not None:
            decoded = decoded.rejected(Stage.TASK_PUT, "DeadLetter", why)
        folded = fold(Batch.of([decoded], {}), self._states, self._letters)
        for key, letter in folded.letters.items():
            if letter is None:
                del self._letters[key]
            else:
                self._letters[key] = letter
        outcome = None if decoded.context is None else folded.outcomes[0]
        if folded.rejected:
            return Version(record, folded.rejected[0], outcome, [], folded.rejected[0].reason)
        assert isinstance(decoded, Event)  # the fold rejects all other records
        changes: list[Change] = []
        if decoded.key in folded.changed:
            changes = differences(self._orders.get(decoded.key), decoded.order)
            self._orders[decoded.key] = decoded.order
            self._states[decoded.key] = RowState(record.partition, decoded.place, decoded.content_hash)
        return Version(record, decoded, outcome, changes, None)


def differences(before: Order | None, after: Order) -> list[Change]:
    """The fields that differ, in the order of the model. A product is identified by its index in the list."""
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
