"""Records that the client library cannot read, and so would ask for again for ever."""

from collections.abc import Callable, Mapping, MutableMapping

from confluent_kafka import KafkaError, Message

from consumer.core.record import Record
from contracts.event import UNFETCHABLE

_OF_A_BATCH = (KafkaError._BAD_COMPRESSION, KafkaError._BAD_MSG)

Report = Callable[[KafkaError, int | None], None]
"""Takes every other error of a partition."""


class UnreadableBatches:
    """A few kilobytes can decompress to more than the client takes. The reader goes on behind them, offset by offset.

    Only a second error at the same offset counts: the first one may be about a place that was read before a rebalance.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._seen: dict[int, int] = {}

    def record_of(
        self, message: Message, positions: Mapping[int, int], again: MutableMapping[int, int]
    ) -> Record | None:
        """The record at the position of a partition that cannot be read, without anything that stands in it.

        None if the message is another error. `positions`: the next offset of each partition that is read. Notes in
        `again` from which offset a partition is to be read again.
        """
        error, partition, offset = message.error(), message.partition(), message.offset()
        if error is None or error.code() not in _OF_A_BATCH or partition is None or offset is None:
            if error is not None:
                self._report(error, partition)
            return None
        position = positions.get(partition)
        if position is None or position < offset or partition in again:
            return None
        if self._seen.get(partition) != position:
            self._seen[partition] = again[partition] = position
            return None
        return Record(partition, position, 0, None, None, ((UNFETCHABLE, error.name().encode()),))
