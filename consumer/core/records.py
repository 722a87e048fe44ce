"""Records as columns: parallel lists, filled at once by what is written in C."""

from collections.abc import Iterable
from dataclasses import dataclass

from consumer.core.record import Record
from contracts.event import Headers


@dataclass(slots=True)
class Records:
    """Records as Kafka has them. Position i of every list belongs to one record; see `Record` for the fields."""

    partitions: list[int]
    offsets: list[int]
    times_ms: list[int]
    keys: list[bytes | None]
    values: list[bytes | None]
    headers: list[Headers]
    leader_epochs: list[int | None]

    def __len__(self) -> int:
        return len(self.offsets)

    @classmethod
    def of(cls, records: Iterable[Record]) -> "Records":
        listed = list(records)
        return cls(
            [record.partition for record in listed],
            [record.offset for record in listed],
            [record.time_ms for record in listed],
            [record.key for record in listed],
            [record.value for record in listed],
            [record.headers for record in listed],
            [record.leader_epoch for record in listed],
        )
