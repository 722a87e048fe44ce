"""What a consumer counts for Prometheus. Each batch costs some counters, an order none.

Every name and label is bounded: by outcomes, phases, partitions, classes of SQLSTATE, and errors of our own code.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.metadata import version

import prometheus_client
import psycopg
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from consumer.core.record import Record, Rejected
from consumer.progress import Progress
from contracts.result import Outcome

LOOK_EVERY_S = 1.0
"""How often the loop writes down how far behind it is."""
PHASES = "take", "apply", "reply", "commit"
PHASE_S = 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30
RECORDS = 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the page, and no query here uses them


class ConsumerMetrics:
    """One process. The loop's thread writes; that of the metrics port calls `refresh` and reads `registry`."""

    def __init__(self, clock_s: Callable[[], float] = time.time) -> None:
        self.registry = registry = CollectorRegistry()
        self.progress = Progress()
        self._clock_s = clock_s
        self._looked_s = 0.0
        applied = Counter("orders_applied", "Events applied, by outcome.", ["outcome"], registry=registry)
        self._applied = {outcome: applied.labels(outcome.value) for outcome in Outcome}
        phases = Histogram(
            "orders_batch_phase_seconds",
            "Time of each phase of a batch: take (with the wait for records, 0.2 s at most), apply (with what is tried "
            "again), reply, commit.",
            ["phase"],
            buckets=PHASE_S,
            registry=registry,
        )
        take, apply, reply, commit = (phases.labels(phase) for phase in PHASES)
        self.on_take, self.on_apply = take.observe, apply.observe
        self.on_reply, self.on_commit = reply.observe, commit.observe
        self._batch = Histogram("orders_batch_records", "Records of a batch.", buckets=RECORDS, registry=registry)
        self._letters = Counter(
            "orders_dead_letters", "Dead letters written, by the error in them.", ["reason"], registry=registry
        )
        self._retries = Counter(
            "orders_retries",
            "Attempts that failed and are made again, by the class of their SQLSTATE: none if the connection was lost, "
            "kafka if it was no error of Postgres.",
            ["sqlstate_class"],
            registry=registry,
        )
        self._rebalances = Counter(
            "orders_consumer_rebalances", "Times that the group gave or took partitions.", registry=registry
        )
        self.on_restored = Counter(
            "orders_restores", "Times that Postgres was found restored to an older state.", registry=registry
        ).inc
        self._assigned = Gauge("orders_consumer_assigned_partitions", "Partitions of this consumer.", registry=registry)
        partition = ["partition"]
        self._offset = Gauge(
            "orders_consumer_applied_offset", "All before it is applied and answered.", partition, registry=registry
        )
        self._lag = Gauge(
            "orders_consumer_lag_records",
            "Records that are not applied yet.",
            partition,
            registry=registry,
        )
        self._behind = Gauge(
            "orders_consumer_behind_seconds",
            "How long ago all that had arrived was known to be applied; while it catches up, how old the last applied "
            "event is; 0 if nothing is left. In an outage of Postgres it grows in every partition: nobody looks what "
            "arrives.",
            partition,
            registry=registry,
        )
        build = Gauge("orders_build_info", "The version that runs; always 1.", ["version"], registry=registry)
        build.labels(version("order-upsert")).set(1)

    def on_applied(self, outcomes: Sequence[Outcome]) -> None:
        """A transaction was committed."""
        left = len(outcomes)
        for outcome, child in self._applied.items():
            if not left:
                return
            if found := outcomes.count(outcome):
                child.inc(found)
                left -= found

    def on_batch(self, lasts: Mapping[int, Record], records: int) -> None:
        """A batch was applied. `lasts`: the last record of each partition."""
        self._batch.observe(records)
        self.progress.apply({partition: last.time_ms / 1000 for partition, last in lasts.items()})

    def on_letters(self, rejected: Sequence[Rejected]) -> None:
        """They are acknowledged."""
        for item in rejected:
            self._letters.labels(item.error).inc()

    def on_retry(self, error: BaseException) -> None:
        cause = error.__cause__
        name = "kafka"
        if isinstance(cause, psycopg.Error):
            name = cause.sqlstate[:2] if cause.sqlstate else "none"
        self._retries.labels(name).inc()

    def on_rebalance(self, assigned: int) -> None:
        """`assigned`: so many partitions are ours now."""
        self._rebalances.inc()
        self._assigned.set(assigned)

    def look(self, done: Mapping[int, int], read_ends: Callable[[Collection[int]], Mapping[int, int]]) -> None:
        """Called at each turn of the loop, and looks at most every LOOK_EVERY_S. `done`: as `Progress.look` takes it.
        `read_ends`: gives the known ends of these partitions."""
        now_s = self._clock_s()
        if abs(now_s - self._looked_s) >= LOOK_EVERY_S:
            self._looked_s = now_s
            self.progress.look(done, read_ends(done), now_s)

    def refresh(self) -> None:
        """Writes how far behind each partition is now, and forgets those that are not ours any more."""
        found = dict(self.progress.behind(self._clock_s()))
        for gauge in (self._offset, self._lag, self._behind):
            gauge.clear()
        for partition, behind in found.items():
            self._offset.labels(str(partition)).set(behind.next_offset)
            self._lag.labels(str(partition)).set(behind.lag_records)
            self._behind.labels(str(partition)).set(behind.behind_s)
