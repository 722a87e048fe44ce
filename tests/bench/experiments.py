"""The measurements: pairs against the direct service, catching up, growth, and overload."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from statistics import median

from bench.catch_up import CaughtUp, catch_up, write_backlog
from bench.load import Task
from bench.measured import Run
from bench.stack import DRIVERS, Service, Stack

Say = Callable[[str], None]
SERVICES: tuple[Service, ...] = ("ours", *DRIVERS)
_NUMBERS_APART = 5_000_000  # so that every run writes orders that no other run wrote


@dataclass(frozen=True)
class Scale:
    """How long each measurement takes."""

    rounds: int
    warm_up_s: float
    measure_s: float
    backlog_events: int
    large_table_rows: int
    loaded_first_s: float  # Java compiles for a while


QUICK = Scale(rounds=2, warm_up_s=1, measure_s=3, backlog_events=100_000, large_table_rows=200_000, loaded_first_s=10)
FULL = Scale(rounds=5, warm_up_s=2, measure_s=6, backlog_events=400_000, large_table_rows=10_000_000, loaded_first_s=40)
_MANY_PARTITIONS = 100
_LOADS = {
    "batches of 500, 8 connections": (8, 500),
    "single orders, 64 connections": (64, 1),
    "single order, 1 connection": (1, 1),
}
"""Connections, and orders in a request."""


class Experiments:
    """All on one stack. Each gives what goes into the results file."""

    def __init__(self, stack: Stack, scale: Scale, say: Say) -> None:
        self._stack, self._scale, self._say = stack, scale, say
        self._numbers = count(0, _NUMBERS_APART)

    def warm(self) -> None:
        """Warms up: loads everything until it runs at its final speed."""
        for connections, orders in _LOADS.values():
            for service in SERVICES:
                self._measure("warm-up", service, connections, orders, measure_s=self._scale.loaded_first_s / 9)

    def pairs(self) -> Iterator[Run]:
        """The services in turn, with empty tables for each."""
        for load, (connections, orders) in _LOADS.items():
            for _ in range(self._scale.rounds):
                for service in SERVICES:
                    self._stack.empty_tables()
                    yield self._measure(load, service, connections, orders)

    def growth(self) -> Iterator[Run]:
        """What a larger request, a larger order, or more connections cost; and a large table."""
        for orders in (1, 10, 100, 1000):
            yield self._measure(f"{orders} orders a request", "ours", 8, orders)
        for connections in (1, 10, 100, 1000):
            yield self._measure(f"{connections} connections, single orders", "ours", connections, 1)
        for products in (1, 10, 100):
            yield self._measure(f"orders of {products} products, 100 a request", "ours", 8, 100, products=products)
        for rows in (0, self._scale.large_table_rows):
            self._stack.fill_table(rows)
            yield self._measure(f"{rows:,} rows in the table: inserts", "ours", 8, 500)
            if rows:
                updates = {"first": 0, "keys": rows, "total": next(self._numbers)}
                yield self._measure(f"{rows:,} rows in the table: updates all over it", "ours", 8, 500, **updates)
        self._stack.empty_tables()

    def catching_up(self) -> Iterator[CaughtUp]:
        """A backlog of new orders, and the same orders once more; and new orders in many partitions."""
        self._stack.stop_consumers()
        for _ in range(max(1, self._scale.rounds - 2)):
            for consumers in (1, 2):
                self._stack.empty_tables()
                first = next(self._numbers)
                for backlog in ("inserts", "nothing changes"):
                    yield self._caught_up(self._stack, backlog, consumers, first)
        many = self._stack.with_partitions(_MANY_PARTITIONS)
        for consumers in (1, 2):
            yield self._caught_up(many, f"inserts, {_MANY_PARTITIONS} partitions", consumers, next(self._numbers))
        self._stack.start_consumer()

    def offered_loads(self, service: Service) -> Iterator[tuple[float, Run]]:
        """Single orders at a given rate: (requests a second that were due, what came of them), until it breaks."""
        peak = self._measure("peak", service, 64, 1).requests_per_s
        for share in (0.1, 0.25, 0.5, 0.7, 0.85, 1.0, 1.2):
            rate = peak * share
            run = self._measure(f"{share:.0%} of the peak offered", service, 500, 1, requests_per_s=rate)
            yield rate, run
            if run.requests_per_s < 0.8 * rate or run.p50_ms > 2_000:
                return

    def overload(self) -> Iterator[Run]:
        """Twice the orders that can be taken, in batches of 500: what is accepted goes on at the same rate."""
        peak = self._measure("peak, batches of 500", "ours", 16, 500)
        yield peak
        rate = 2 * peak.requests_per_s
        yield self._measure("twice the peak offered, batches of 500", "ours", 200, 500, requests_per_s=rate)

    def _caught_up(self, stack: Stack, backlog: str, consumers: int, first: int) -> CaughtUp:
        write_backlog(stack, self._scale.backlog_events, first, 1)
        stack.execute("CHECKPOINT")
        return catch_up(stack, backlog, consumers)

    def _measure(
        self, load: str, service: Service, connections: int, orders: int, measure_s: float | None = None, **about: float
    ) -> Run:
        task = Task(
            connections=connections,
            orders=orders,
            warm_up_s=self._scale.warm_up_s,
            measure_s=measure_s or self._scale.measure_s,
            **{"first": next(self._numbers), **about},  # type: ignore[arg-type]
        )
        run = self._stack.measure(load, service, task)
        self._say(f"{load}, {service}: {run.orders_per_s:,.0f} orders/s, p50 {run.p50_ms:.1f} ms, {run.statuses}")
        return run


def ratios(runs: list[Run], load: str, against: Service) -> list[float]:
    """Ours divided by the direct service's, pair by pair: throughput, or latency if there is one connection."""
    ours, theirs = (
        [_figure(run) for run in runs if run.load == load and run.service == service] for service in ("ours", against)
    )
    return [our / their for our, their in zip(ours, theirs, strict=True) if their and not math.isnan(our / their)]


def _figure(run: Run) -> float:
    return run.p50_ms if run.load == "single order, 1 connection" else run.orders_per_s


def median_of(runs: list[Run], figure: Callable[[Run], float]) -> float:
    return median(figure(run) for run in runs)
