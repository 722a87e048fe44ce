"""I7: the whole topic again, by the consumer's own code, into an empty database, in another order of partitions."""

import random
from collections.abc import Collection, Iterator

from confluent_kafka import Message

from chaos.facts import REFUSED, Position
from consumer.applier import Applier
from consumer.core.batch import Batch
from consumer.core.decode import decode
from consumer.core.record import Decoded, Rejected, Stage
from consumer.kafka.message import record_of
from consumer.postgres.session import SessionHolder

RECORDS_MAX = 1000


def replay(
    messages: list[Message], without: Collection[Position], refused: Collection[Position], url: str, seed: int,
    ledger_days: int = 7,
) -> None:  # fmt: skip
    """`messages`: in each partition by offset. Those at `without` were decided not to count.

    The tables refused those at `refused`: an empty database would not, because it has no trigger.
    """
    database = SessionHolder(url, ledger_days)
    applier = Applier(database, lambda _: None)
    positions: dict[int, int] = {}
    try:
        for records in _interleaved(messages, seed):
            placed = [((decoded.record.partition, decoded.record.offset), decoded) for decoded in records]
            kept = [_refused(decoded, at in refused) for at, decoded in placed if at not in without]
            partitions = {decoded.record.partition for decoded in kept}
            batch = Batch.of(kept, {partition: positions.get(partition, 0) for partition in partitions})
            if kept:
                applier.apply(batch)
            positions |= batch.ends
    finally:
        database.close()


def _refused(decoded: Decoded, is_refused: bool) -> Decoded:
    if not is_refused or isinstance(decoded, Rejected):
        return decoded
    return decoded.rejected(Stage.TASK_PUT, REFUSED, "by a trigger")


def _interleaved(messages: list[Message], seed: int) -> Iterator[list[Decoded]]:
    """Batches of random sizes from partitions in random order."""
    chosen = random.Random(f"replay {seed}")
    waiting: dict[int, list[Message]] = {}
    for message in reversed(messages):
        waiting.setdefault(message.partition() or 0, []).append(message)
    while waiting:
        records: list[Decoded] = []
        for _ in range(chosen.randint(1, 4)):
            partition = chosen.choice(sorted(waiting))
            count = min(len(waiting[partition]), chosen.randint(1, RECORDS_MAX // 4))
            records += [decode(record_of(waiting[partition].pop())) for _ in range(count)]
            if not waiting[partition]:
                del waiting[partition]
                if not waiting:
                    break
        yield records
