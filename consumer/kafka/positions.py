"""Up to which offset each partition is read, and which of the messages that arrive come next."""

from collections.abc import Mapping
from itertools import groupby

from confluent_kafka import KafkaError, Message

from consumer.errors import LogChangedError
from consumer.kafka.message import Taken, place_of
from consumer.kafka.unreadable import Report, UnreadableBatches


class Positions:
    """The positions of our partitions. They move with what is accepted: without a gap, and never back."""

    def __init__(self, topic: str, report: Report) -> None:
        """`report` takes the errors among the messages."""
        self._topic = topic
        self._unreadable = UnreadableBatches(report)
        self._epochs: dict[int, int] = {}
        self.offsets: dict[int, int] = {}
        """The next offset of each partition of ours: the one after the last record."""
        self.read_to: dict[int, int] = {}
        """How far each partition of ours is read at least: behind the last record may be markers of transactions."""
        self.new: set[int] = set()
        """The partitions that were assigned since the call that takes messages began."""

    def set(self, offsets: Mapping[int, int]) -> None:
        """These partitions are read from these offsets on."""
        for partition, offset in offsets.items():
            self.forget(partition)  # older records may have been written under an older leader
            self.offsets[partition] = self.read_to[partition] = offset

    def forget(self, partition: int) -> None:
        """The partition is not ours any more."""
        self.offsets.pop(partition, None)
        self.read_to.pop(partition, None)
        self._epochs.pop(partition, None)

    def accept(self, messages: list[Message]) -> tuple[list[Taken], dict[int, int], dict[int, int]]:
        """(taken, starts, again): what comes next; by partition of it, the offset from which on none is missing; and
        from which offset some partitions have to be read again. Raises what `report` raises, and LogChangedError."""
        taken: list[Taken] = []
        starts: dict[int, int] = {}
        again: dict[int, int] = {}
        for partition, alike in groupby(messages, Message.partition):
            found = list(alike)
            end = found.pop() if _is_end(found[-1]) else None
            position = None if partition is None or partition in again else self.offsets.get(partition)
            if partition is not None and position is not None and self._go_on(found, partition, position):
                starts.setdefault(partition, position)
                self.offsets[partition] = position + len(found)
                self.new.discard(partition)
                taken += found
            else:
                accepted = [self._accept_one(message, starts, again) for message in found]
                taken += [item for item in accepted if item is not None]
            if end is not None:
                self._reach(end, again)
        return taken, starts, again

    def _go_on(self, messages: list[Message], partition: int, position: int) -> bool:
        """Whether all are as most are: the records from the position on, written under the leader of those before."""
        return (
            # Not by comparing with None: a KafkaError compared with another type leaves an exception set.
            not any(map(Message.error, messages))
            and list(map(Message.offset, messages)) == list(range(position, position + len(messages)))
            and {*map(Message.leader_epoch, messages)} == {self._epochs.get(partition)}
        )

    def _accept_one(self, message: Message, starts: dict[int, int], again: dict[int, int]) -> Taken | None:
        """The same for one message, whatever it is. None if it is no record, or none that comes next."""
        unreadable = None
        if _is_end(message):
            self._reach(message, again)
            return None
        if message.error() is not None:
            unreadable = self._unreadable.record_of(message, self.offsets, again)
            if unreadable is None:
                return None
        taken = unreadable or message
        partition, offset, epoch = place_of(taken)
        position = self.offsets.get(partition)
        # consume() may return records of partitions that were revoked in this very call. If one was assigned again at
        # once, it may return records from before the gap.
        if position is None or offset < position or partition in again:
            return None
        if partition in self.new and offset != position:
            again[partition] = position
            return None
        if epoch is not None:
            if epoch < self._epochs.get(partition, epoch):
                raise self._log_changed(partition, offset, self._epochs[partition], epoch)
            self._epochs[partition] = epoch
        if unreadable is not None:
            again[partition] = offset + 1
        starts.setdefault(partition, position)
        self.offsets[partition] = offset + 1
        self.new.discard(partition)
        return taken

    def _reach(self, end: Message, again: dict[int, int]) -> None:
        """The client has read all before the place of `end`."""
        partition, offset = end.partition(), end.offset()
        position = None if partition is None or partition in again else self.offsets.get(partition)
        if partition is None or position is None or offset is None or offset <= position:
            return
        if partition in self.new:  # it may be from before a revocation, as a record may
            again[partition] = position
        else:
            self.read_to[partition] = offset

    def _log_changed(self, partition: int, offset: int, before: int, now: int) -> LogChangedError:
        return LogChangedError(
            partition,
            f"Partition {partition} of {self._topic}: the leader epoch goes back from {before} to {now} at offset "
            f"{offset}, so this is not the log that was read before.",
        )


def _is_end(message: Message) -> bool:
    error = message.error()
    return error is not None and error.code() == KafkaError._PARTITION_EOF
