"""The result of one run: the figures of the tables and of the results file."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bench.load import Outcome
from bench.meter import Reading


@dataclass(frozen=True)
class Run:
    """Per order means: per order that was answered. `cpu_s_per_10k`: by process; `generator` is what the load costs.

    `orders_per_s` and `requests_per_s` count the time until what was answered is in Kafka too, if it must be.
    """

    load: str
    service: str
    orders_per_s: float
    requests_per_s: float
    taken_in_per_s: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    statuses: dict[str, int]
    counts: dict[str, int]
    cpu_s_per_10k: dict[str, float]
    memory_mib: dict[str, float]
    kafka_bytes_per_order: float
    wal_bytes_per_order: float
    answered_orders: int
    answered_share: float  # of the requests that were sent in the measured time

    @property
    def cpu_us(self) -> float:
        """Of all processes for an order, without the generator."""
        return 100 * sum(cpu for name, cpu in self.cpu_s_per_10k.items() if name != "generator")

    def as_json(self) -> dict[str, object]:
        return {name: _rounded(value) for name, value in asdict(self).items()}


def run_of(load: str, service: str, outcome: Outcome, before: Reading, after: Reading, drain_s: float = 0.0) -> Run:
    """`drain_s`: what a relay needed after the load for what came in the measured time."""
    orders = max(1, sum(outcome.counts.values()))
    latencies = sorted(outcome.latencies_ms)
    seconds = outcome.seconds + drain_s
    cpu = {**after.cpu_since(before), "generator": outcome.cpu_s}
    return Run(
        load=load,
        service=service,
        orders_per_s=sum(outcome.counts.values()) / seconds,
        requests_per_s=len(latencies) / seconds,
        taken_in_per_s=sum(outcome.counts.values()) / outcome.seconds,
        p50_ms=percentile(latencies, 50),
        p99_ms=percentile(latencies, 99),
        p999_ms=percentile(latencies, 99.9),
        statuses=outcome.statuses,
        counts=outcome.counts,
        cpu_s_per_10k={name: seconds / orders * 10_000 for name, seconds in cpu.items()},
        memory_mib={name: size / 2**20 for name, size in after.memory_bytes.items()},
        kafka_bytes_per_order=(after.kafka_bytes - before.kafka_bytes) / orders,
        wal_bytes_per_order=(after.wal_bytes - before.wal_bytes) / orders,
        answered_orders=outcome.answered_orders,
        answered_share=len(latencies) / max(1, outcome.sent),
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent do not exceed; NaN of nothing."""
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 3)
    if isinstance(value, dict):
        return {name: _rounded(inner) for name, inner in value.items()}
    return value
