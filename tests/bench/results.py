"""Everything that one run of the bench measured, and what of it stands against the goals."""

from dataclasses import asdict, dataclass, field
from statistics import median

from bench.catch_up import DEBEZIUM, CaughtUp
from bench.experiments import ALONE, BATCHES, INSERTS, SINGLES
from bench.measured import Run
from bench.start import Start

OURS = "ours"


@dataclass
class Results:
    """The order of each list is that of the rounds: the n-th runs of two services are a pair."""

    about: dict[str, object] = field(default_factory=dict)
    choices: list[Run] = field(default_factory=list)
    pairs: list[Run] = field(default_factory=list)
    caught_up: list[CaughtUp] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    offered: dict[str, list[tuple[float, Run]]] = field(default_factory=dict)
    growth: list[Run] = field(default_factory=list)
    overload: list[Run] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        return {
            **self.about,
            **{name: [run.as_json() for run in getattr(self, name)] for name in ("choices", "pairs", "growth")},
            "overload": [run.as_json() for run in self.overload],
            "caught_up": [asdict(result) for result in self.caught_up],
            "starts": [asdict(start) for start in self.starts],
            "offered": {name: [(rate, run.as_json()) for rate, run in of] for name, of in self.offered.items()},
        }


@dataclass(frozen=True)
class Goal:
    """`figures`: pair by pair, or run by run. `at_least`: whether more is better."""

    name: str
    figures: list[float]
    limit: float
    at_least: bool
    unit: str = "times"

    @property
    def median(self) -> float:
        return median(self.figures)

    @property
    def reached(self) -> bool:
        return self.median >= self.limit if self.at_least else self.median <= self.limit


def goals(results: Results) -> list[Goal]:
    """Those of the issue, as far as this run measured them."""
    pairs, caught_up = results.pairs, results.caught_up
    found = [
        Goal("batches of 500, against the outbox, relay included", _rates(pairs, BATCHES, "outbox"), 2.5, True),
        Goal("batches of 500, against direct asyncpg", _rates(pairs, BATCHES, "asyncpg"), 0.8, True),
        Goal("single orders, 64 connections, against direct psycopg", _rates(pairs, SINGLES, "psycopg"), 1.3, True),
        Goal("single orders, 64 connections, against direct asyncpg", _rates(pairs, SINGLES, "asyncpg"), 1.0, True),
        Goal("one connection, p50 against direct psycopg", _p50s(pairs, ALONE, "psycopg"), 2.0, False),
        Goal("one consumer catches up, against Debezium", _catching_up(caught_up, "1 consumer"), 1.5, True),
        Goal("two consumers catch up, against Debezium", _catching_up(caught_up, "2 consumers"), 2.0, True),
        Goal("CPU of all processes for an order in batches", _cpu_us(pairs, BATCHES), 32, False, "µs"),
        Goal("start of a consumer, to its first record", _starts(results.starts, "consumer"), 1.0, False, "s of CPU"),
        Goal("start of an ingress, to its first answer", _starts(results.starts, "ingress"), 1.0, False, "s of CPU"),
    ]
    return [goal for goal in found if goal.figures]


def of(runs: list[Run], load: str, kind: str) -> list[Run]:
    """The runs of a kind of service, whatever its number of processes."""
    return [run for run in runs if run.load == load and run.service.split(" (")[0] == kind]


def _rates(pairs: list[Run], load: str, kind: str) -> list[float]:
    return _ratios(*([run.orders_per_s for run in of(pairs, load, one)] for one in (OURS, kind)))


def _p50s(pairs: list[Run], load: str, kind: str) -> list[float]:
    return _ratios(*([run.p50_ms for run in of(pairs, load, one)] for one in (OURS, kind)))


def _cpu_us(pairs: list[Run], load: str) -> list[float]:
    return [run.cpu_us for run in of(pairs, load, OURS)]


def _catching_up(results: list[CaughtUp], by: str) -> list[float]:
    inserts = [result for result in results if result.backlog == INSERTS]
    return _ratios(*([result.events_per_s for result in inserts if result.by == one] for one in (by, DEBEZIUM)))


def _ratios(ours: list[float], theirs: list[float]) -> list[float]:
    """Pair by pair. A run that was cut off may have one more of the first."""
    return [our / their for our, their in zip(ours, theirs, strict=False)]


def _starts(starts: list[Start], process: str) -> list[float]:
    return [start.cpu_s for start in starts if start.process == process]
