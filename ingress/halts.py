"""Which partitions the consumers have halted. Pure; used on the event loop only."""

import logging
from collections.abc import Iterable

from contracts.halt import Halt, HaltRecordError, decode_halt
from contracts.topics import UPSERT_PARTITIONS

_log = logging.getLogger(__name__)


class Halts:
    """Filled from orders.halts. While a partition is halted, an order that is taken in may never be applied."""

    def __init__(self) -> None:
        self.partitions: dict[int, Halt] = {}
        """By partition, at most UPSERT_PARTITIONS of them."""

    def clear(self) -> None:
        """Before the topic is read from its beginning again."""
        self.partitions.clear()

    def on_records(self, records: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        """Keys and values of records, in their order."""
        for key, value in records:
            try:
                partition, halt = decode_halt(key, value)
            except HaltRecordError as error:
                _log.warning("%s", error)
                continue
            if halt is None:
                if self.partitions.pop(partition, None) is not None:
                    _log.warning("partition %d is applied again", partition)
            elif 0 <= partition < UPSERT_PARTITIONS:
                self.partitions[partition] = halt
                _log.error("partition %d is halted, no orders are taken in: %s", partition, halt.reason)
