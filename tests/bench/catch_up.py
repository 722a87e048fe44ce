"""How fast a backlog is worked off: by one or two consumers of ours, or by Debezium's sink."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.debezium import TABLE
from bench.meter import Reading
from bench.stack import Stack
from contracts.partitioner import partition_of
from contracts.topics import UPSERT_PARTITIONS

DEBEZIUM = "Debezium"
_CHECK_S = 0.02
_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class CaughtUp:
    """A backlog that was worked off, from the first commit to the last. `by`: "1 consumer", "2 consumers", "Debezium".
    `cpu_s_per_10k` and `memory_mib`: by process."""

    backlog: str
    by: str
    events_per_s: float
    cpu_s_per_10k: dict[str, float]
    memory_mib: dict[str, float]
    wal_bytes_per_event: float

    @property
    def cpu_us(self) -> float:
        """Of the processes that consume, for an event."""
        return 100 * self._of_consuming(self.cpu_s_per_10k)

    @property
    def consuming_mib(self) -> float:
        """The memory of the processes that consume."""
        return self._of_consuming(self.memory_mib)

    def _of_consuming(self, figures: dict[str, float]) -> float:
        process = "debezium" if self.by == DEBEZIUM else "consumer"
        return sum(figure for name, figure in figures.items() if name.startswith(process))


def catch_up(stack: Stack, backlog: str, consumers: int) -> CaughtUp:
    """Starts `consumers`, and measures from their first commit until they stand at the end; stops them again."""
    installation = stack.installation
    ends = sum(installation.end_offsets(installation.settings.topics.upserts).values())
    start = stack.applied()
    stack.consumers = [stack.launch_consumer() for _ in range(consumers)]
    by = f"{consumers} consumer{'s' if consumers > 1 else ''}"
    result = _measured(stack, backlog, by, lambda: stack.applied() - start, lambda: stack.applied() >= ends)
    stack.stop_consumers()
    return result


def catch_up_by_debezium(stack: Stack, backlog: str, first: int, events: int) -> CaughtUp:
    """The same for the sink, which is running, paused and warm. Its backlog has orders from `first` on."""
    last = [f"ORD-{number:010}" for number in last_of_each_partition(first, events)]

    def written() -> int:
        return int(stack.installation.sql(f"SELECT count(*) AS rows FROM {TABLE}")[0]["rows"])

    def is_done() -> bool:
        found = stack.installation.sql(f"SELECT count(*) AS rows FROM {TABLE} WHERE order_id = ANY (%s)", last)
        return bool(found[0]["rows"] == len(last))

    stack.debezium.resume()
    result = _measured(stack, backlog, DEBEZIUM, written, is_done)
    stack.debezium.pause()
    if written() != events:
        raise RuntimeError(f"Debezium wrote {written()} rows of {events}")
    return result


def last_of_each_partition(first: int, events: int) -> list[int]:
    """The numbers of the last order in each partition."""
    last: dict[int, int] = {}
    for number in range(first + events - 1, first - 1, -1):
        last.setdefault(partition_of(b"ORD-%010d" % number, UPSERT_PARTITIONS), number)
        if len(last) == UPSERT_PARTITIONS:
            break
    return sorted(last.values())


def _measured(stack: Stack, backlog: str, by: str, applied: Callable[[], int], is_done: Callable[[], bool]) -> CaughtUp:
    """`applied`: events since the start. Asking costs Debezium something, so the end is asked for in another way."""
    meter = stack.meter()
    deadline = time.monotonic() + _TIMEOUT_S
    while not applied():
        _wait(deadline)
    before = meter.read()
    first, from_s = applied(), time.perf_counter()
    while not is_done():
        _wait(deadline)
    seconds, after = time.perf_counter() - from_s, meter.read()
    meter.close()
    events = applied() - first
    if events < first:
        raise RuntimeError("the backlog is so small that most of it was done before the clock started")
    return _result(backlog, by, events, seconds, before, after)


def _result(backlog: str, by: str, events: int, seconds: float, before: Reading, after: Reading) -> CaughtUp:
    return CaughtUp(
        backlog=backlog,
        by=by,
        events_per_s=events / seconds,
        cpu_s_per_10k={name: cpu_s / events * 10_000 for name, cpu_s in after.cpu_since(before).items()},
        memory_mib={name: size / 2**20 for name, size in after.memory_bytes.items()},
        wal_bytes_per_event=(after.wal_bytes - before.wal_bytes) / events,
    )


def _wait(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise RuntimeError("the backlog was not worked off")
    time.sleep(_CHECK_S)
