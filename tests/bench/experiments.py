"""The measurements: pairs against the peers, catching up, growth, overload, and the start."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from statistics import median

from bench import tables
from bench.catch_up import CaughtUp, catch_up, catch_up_by_debezium
from bench.debezium import TABLE
from bench.load import Task
from bench.measured import Run
from bench.services import OURS, PROCESSES, Service
from bench.stack import Stack
from bench.start import Start, start_of_consumer, start_of_ingress

Say = Callable[[str], None]
Peers = dict[str, dict[str, Service]]
"""By load and kind: the peer with the number of processes that serves it best."""
_NUMBERS_APART = 5_000_000  # so that every run writes orders that no other run wrote


@dataclass(frozen=True)
class Scale:
    """How long each measurement takes."""

    rounds: int
    choosing_rounds: int
    warm_up_s: float
    measure_s: float
    backlog_events: int
    catching_up_rounds: int
    large_table_rows: int
    loaded_first_s: float  # Java compiles for a while


TINY = Scale(1, 1, 0.3, 1, 40_000, 1, 5_000, 6)
"""Says nothing about speed: it shows that the bench works."""
QUICK = Scale(2, 1, 0.5, 2, 100_000, 1, 200_000, 30)
FULL = Scale(5, 2, 2, 6, 300_000, 3, 10_000_000, 100)
BATCHES, SINGLES, ALONE = "batches of 500, 8 connections", "single orders, 64 connections", "single order, 1 connection"
LOADS = {BATCHES: (8, 500), SINGLES: (64, 1), ALONE: (1, 1)}
"""Connections, and orders in a request."""
INSERTS, UNCHANGED = "inserts", "nothing changes"
_MANY_PARTITIONS = 100
_ANSWERED_SHARE_MIN, _P50_MS_MAX = 0.8, 2_000
_SHARES = (0.1, 0.25, 0.5, 0.7, 0.85, 1.0, 1.2)


class Experiments:
    """All on one stack. Each gives what goes into the results file."""

    def __init__(self, stack: Stack, scale: Scale, say: Say) -> None:
        self._stack, self._scale, self._say = stack, scale, say
        self._numbers = count(0, _NUMBERS_APART)

    def warm(self) -> None:
        """Loads everything until it runs at its final speed. Half of the time is for ours: it needs the broker most."""
        peers = [Service(kind, max(numbers)) for kind, numbers in PROCESSES.items()]
        half_s = self._scale.loaded_first_s / len(LOADS) / 2
        for connections, orders in LOADS.values():
            for service in (OURS, *peers):
                duration_s = half_s if service == OURS else half_s / len(peers)
                self._measure("warm-up", service, connections, orders, measure_s=duration_s)

    def choices(self) -> Iterator[Run]:
        """Each kind of peer with each number of processes, in turn."""
        for load, (connections, orders) in LOADS.items():
            for _ in range(self._scale.choosing_rounds):
                for kind, numbers in PROCESSES.items():
                    for processes in numbers if connections > 1 else numbers[:1]:
                        yield self._measure_from_empty(load, Service(kind, processes), connections, orders)

    def pairs(self, peers: Peers) -> Iterator[Run]:
        """Ours and the best of each kind of peer, in turn, with empty tables for each."""
        for load, (connections, orders) in LOADS.items():
            for _ in range(self._scale.rounds):
                for service in (OURS, *peers[load].values()):
                    yield self._measure_from_empty(load, service, connections, orders)

    def growth(self) -> Iterator[Run]:
        """What a larger request, a larger order, or more connections cost; and a large table."""
        for orders in (1, 10, 100, 1000):
            yield self._measure(f"{orders} orders a request, 8 connections", OURS, 8, orders)
        for connections in (1, 10, 100, 1000):
            yield self._measure(f"{connections} connections, single orders", OURS, connections, 1)
        for products in (1, 10, 100):
            yield self._measure(f"orders of {products} products, 100 a request", OURS, 8, 100, products=products)
        for rows in (0, self._scale.large_table_rows):
            tables.fill_table(self._stack.url, rows)
            yield self._measure(f"{rows:,} rows in the table: inserts", OURS, 8, 500)
            if rows:
                updates = {"first": 0, "keys": rows, "total": next(self._numbers)}
                yield self._measure(f"{rows:,} rows in the table: updates all over it", OURS, 8, 500, **updates)
        tables.empty_tables(self._stack.url)

    def catching_up(self) -> Iterator[CaughtUp]:
        """Backlogs of the same orders, for one and two consumers and for Debezium, in turn; the rows are compared.

        Ours get each backlog once more, so that nothing changes. Then new orders in many partitions.
        """
        stack = self._stack
        stack.stop_consumers()
        stack.debezium.start()
        for number in range(-1, self._scale.catching_up_rounds):  # the first is to warm Debezium up
            first = next(self._numbers)
            for consumers in (1, 2) if number >= 0 else (1,):
                tables.empty_tables(stack.url)
                for backlog in (INSERTS, UNCHANGED) if number >= 0 else (INSERTS,):
                    result = self._caught_up(stack, backlog, consumers, first)
                    if number >= 0:
                        yield result
            result = self._caught_up_by_debezium(first)
            if number >= 0:
                yield result
        stack.debezium.stop()
        many = stack.with_partitions(_MANY_PARTITIONS)
        for consumers in (1, 2):
            yield self._caught_up(many, f"{INSERTS}, {_MANY_PARTITIONS} partitions", consumers, next(self._numbers))
        stack.start_consumer()

    def offered_loads(self, service: Service) -> Iterator[tuple[float, Run]]:
        """Single orders at a given rate: (requests a second that were due, what came of them), until it breaks."""
        peak = self._measure("peak", service, 64, 1).requests_per_s
        for share in _SHARES:
            rate = peak * share
            run = self._measure(f"{share:.0%} of the peak offered", service, 500, 1, requests_per_s=rate)
            yield rate, run
            if run.answered_share < _ANSWERED_SHARE_MIN or run.p50_ms > _P50_MS_MAX:
                return

    def overload(self) -> Iterator[Run]:
        """Twice the orders that can be taken, in batches of 500: what is accepted goes on at the same rate."""
        peak = self._measure("peak, batches of 500", OURS, 16, 500)
        yield peak
        rate = 2 * peak.requests_per_s
        yield self._measure("twice the peak offered, batches of 500", OURS, 200, 500, requests_per_s=rate)

    def starts(self) -> Iterator[Start]:
        """Of a consumer and of an ingress, in turn; the first ones only bring the files into memory."""
        for number in range(-1, self._scale.rounds):
            self._stack.stop_consumers()
            started = start_of_consumer(self._stack, next(self._numbers))
            self._stack.start_consumer()
            for start in (started, start_of_ingress(self._stack)):
                self._say(f"start of the {start.process}: {start.cpu_s:.2f} s of CPU")
                if number >= 0:
                    yield start

    def _caught_up(self, stack: Stack, backlog: str, consumers: int, first: int) -> CaughtUp:
        stack.write_backlog(self._scale.backlog_events, first, 1)
        tables.execute(stack.url, "CHECKPOINT")
        return self._said(catch_up(stack, backlog, consumers))

    def _caught_up_by_debezium(self, first: int) -> CaughtUp:
        """The tables hold the same orders by ours. Raises RuntimeError if the rows differ."""
        stack = self._stack
        stack.debezium.pause()
        stack.write_backlog_for_debezium(self._scale.backlog_events, first, 1)
        tables.execute(stack.url, "CHECKPOINT")
        result = self._said(catch_up_by_debezium(stack, INSERTS, first, self._scale.backlog_events))
        if different := tables.differing_rows(stack.url, TABLE):
            raise RuntimeError(f"{different} rows of Debezium differ from ours")
        return result

    def _said(self, result: CaughtUp) -> CaughtUp:
        self._say(f"{result.backlog}, {result.by}: {result.events_per_s:,.0f} events/s, {result.cpu_us:.1f} µs each")
        return result

    def _measure_from_empty(self, load: str, service: Service, connections: int, orders: int) -> Run:
        tables.empty_tables(self._stack.url)
        before = self._stack.in_kafka(service)
        run = self._measure(load, service, connections, orders)
        self._stack.require_stored(service, run, before)
        return run

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


def best_peers(runs: list[Run]) -> Peers:
    """With one connection there is nothing to share, so one process serves it."""
    best: Peers = {}
    for load in LOADS:
        best[load] = {}
        for kind, numbers in PROCESSES.items():
            rates = {
                processes: [
                    r.orders_per_s for r in runs if (r.load, r.service) == (load, str(Service(kind, processes)))
                ]
                for processes in numbers
            }
            measured = {processes: median(of) for processes, of in rates.items() if of}
            if measured:
                best[load][kind] = Service(kind, max(measured, key=measured.__getitem__))
    return best
