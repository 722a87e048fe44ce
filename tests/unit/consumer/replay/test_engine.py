"""What a replay remembers of what it has read, if Postgres loses what it wrote."""

from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

from consumer.applied import Applied, FenceBehindError
from consumer.core.batch import Batch
from consumer.core.record import Record
from consumer.kafka.topic_reader import Chunk
from consumer.replay.engine import Engine
from consumer.replay.pace import Pace
from consumer.settings import ConsumerSettings
from support.events import TIME, record
from support.orders import an_order

RECORDS = [record(an_order("O-1"), day, time=TIME + timedelta(days=day), request=day) for day in range(3)]
PARTITION = RECORDS[0].partition


class Tables:
    """They lose all once, when the batch of the last day comes."""

    def __init__(self) -> None:
        self.fence = 0
        self.has_lost = False
        self.batches: list[list[int]] = []

    def apply(self, batch: Batch) -> Applied:
        offsets = [item.record.offset for item in batch.items]
        if 2 in offsets and not self.has_lost:
            self.has_lost, self.fence = True, 0
            raise FenceBehindError({PARTITION: 0})
        self.batches.append(offsets)
        self.fence = offsets[-1] + 1
        return Applied([], changes_rows=True)


def test_events_that_are_read_again_are_of_the_days_that_they_were_of() -> None:
    """The ledger forgets by day, so a batch with a later day would forget what the consumers still knew."""
    settings = ConsumerSettings(kafka_bootstrap="127.0.0.1:1", postgres_url="postgresql:///")
    engine, tables = Engine(settings, "replay", [PARTITION], Pace(None)), Tables()

    def read(starts: dict[int, int], ends: dict[int, int]) -> Iterator[Chunk]:
        taken: list[Record] = RECORDS[starts[PARTITION] : ends[PARTITION]]
        yield Chunk(list(taken), {PARTITION: ends[PARTITION]})

    parts: dict[str, Any] = {
        "_applier": tables,
        "_reader": SimpleNamespace(read=read, close=lambda: None),
        "_verdicts": SimpleNamespace(read_on=lambda: None, places=(), close=lambda: None),
        "_read_fence": lambda: {PARTITION: tables.fence},
        "_set_fence": lambda _: None,
    }
    for name, part in parts.items():
        setattr(cast(Any, engine), name, part)
    engine.catch_up({PARTITION: 3}, lambda _: None)
    assert tables.batches == [[0], [1], [0], [1], [2]]
