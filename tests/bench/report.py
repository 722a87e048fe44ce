"""The tables, in Markdown, as the page of figures has them."""

from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import TypeVar

from bench.catch_up import CaughtUp
from bench.measured import Run
from bench.results import Goal, Results, goals
from bench.start import Start

Key = TypeVar("Key")
Item = TypeVar("Item")

_PROCESSES = ("ingress", "consumer", "service", "relay", "kafka", "postgres", "generator")


def markdown(results: Results) -> str:
    """Every table that the run has figures for."""
    parts = [
        ("Goals", _goals(goals(results))),
        ("The peers by number of processes, orders/s (answered)", _choices(results.choices)),
        ("Pairs in turn, medians", _pairs(results.pairs)),
        ("CPU of each process, µs an order; memory; bytes an order", _costs(results.pairs)),
        ("Catching up, medians", _caught_up(results.caught_up)),
        ("Starts, medians", _starts(results.starts)),
        ("Latency by offered load", _offered(results.offered)),
        ("How it grows", _growth(results.growth)),
        ("Twice the peak", _growth(results.overload)),
    ]
    about = ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in results.about.items())
    return "\n".join([*([about, ""] if about else []), *(f"### {title}\n\n{table}" for title, table in parts if table)])


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Empty if there is no row."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    head = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join([*head, *lines, ""]) if lines else ""


def _goals(found: list[Goal]) -> str:
    rows = []
    for goal in found:
        sign, figures = "≥" if goal.at_least else "≤", " ".join(f"{figure:.2f}" for figure in goal.figures)
        reached = "yes" if goal.reached else "**no**"
        rows.append((goal.name, f"{goal.median:.2f} {goal.unit}", figures, f"{sign} {goal.limit:g}", reached))
    return table(("goal", "median", "pair by pair", "asked", "reached"), rows)


def _choices(runs: list[Run]) -> str:
    rows = [
        (load, service, f"{_median(of, _rate):,.0f} ({_median(of, _taken_in):,.0f})", f"{_median(of, _p50):.2f}")
        for (load, service), of in _grouped(runs, lambda run: (run.load, run.service))
    ]
    return table(("load", "service", "orders/s", "p50 ms"), rows)


def _pairs(runs: list[Run]) -> str:
    rows = [
        (
            load,
            service,
            f"{_median(of, _rate):,.0f}",
            *(f"{_median(of, figure):.2f}" for figure in (_p50, _p99, _p999)),
            f"{_median(of, lambda run: run.cpu_us):.1f}",
        )
        for (load, service), of in _grouped(runs, lambda run: (run.load, run.service))
    ]
    return table(("load", "service", "orders/s", "p50 ms", "p99 ms", "p99.9 ms", "CPU µs an order"), rows)


def _costs(runs: list[Run]) -> str:
    rows = []
    for (load, service), of in _grouped(runs, lambda run: (run.load, run.service)):
        cpu = [median(100 * run.cpu_s_per_10k.get(name, 0.0) for run in of) for name in _PROCESSES]
        memory = [f"{name} {median(run.memory_mib[name] for run in of):.0f}" for name in of[0].memory_mib]
        sizes = (_median(of, lambda run: run.kafka_bytes_per_order), _median(of, lambda run: run.wal_bytes_per_order))
        rows.append(
            (load, service, *(f"{us:.1f}" if us else "" for us in cpu), ", ".join(memory), *map("{:.0f}".format, sizes))
        )
    return table(("load", "service", *_PROCESSES, "MiB", "Kafka B", "WAL B"), rows)


def _caught_up(results: list[CaughtUp]) -> str:
    rows = [
        (
            backlog,
            by,
            f"{median(result.events_per_s for result in of):,.0f}",
            f"{median(result.cpu_us for result in of):.1f}",
            f"{median(100 * result.cpu_s_per_10k['postgres'] for result in of):.1f}",
            f"{median(100 * result.cpu_s_per_10k['kafka'] for result in of):.1f}",
            f"{median(result.consuming_mib for result in of):.0f}",
            f"{median(result.wal_bytes_per_event for result in of):.0f}",
        )
        for (backlog, by), of in _grouped(results, lambda result: (result.backlog, result.by))
    ]
    return table(("backlog", "by", "events/s", "its CPU µs", "Postgres µs", "Kafka µs", "its MiB", "WAL B"), rows)


def _starts(starts: list[Start]) -> str:
    rows = [
        (process, f"{median(start.cpu_s for start in of):.2f}", f"{median(start.wall_s for start in of):.2f}")
        for process, of in _grouped(starts, lambda start: start.process)
    ]
    return table(("process", "CPU s", "s"), rows)


def _offered(offered: dict[str, list[tuple[float, Run]]]) -> str:
    rows = [
        (service, f"{rate:,.0f}", f"{run.requests_per_s:,.0f}", *(f"{f(run):.1f}" for f in (_p50, _p99, _p999)))
        for service, points in offered.items()
        for rate, run in points
    ]
    return table(("service", "offered/s", "answered/s", "p50 ms", "p99 ms", "p99.9 ms"), rows)


def _growth(runs: list[Run]) -> str:
    rows = []
    for run in runs:
        answers = ", ".join(f"{status}: {number:,}" for status, number in run.statuses.items())
        figures = f"{run.p50_ms:.1f}", f"{run.p99_ms:.1f}", f"{run.cpu_us:.1f}"
        rows.append((run.load, f"{run.orders_per_s:,.0f}", *figures, answers))
    return table(("load", "orders/s", "p50 ms", "p99 ms", "CPU µs an order", "answers"), rows)


def _grouped(items: Iterable[Item], key: Callable[[Item], Key]) -> list[tuple[Key, list[Item]]]:
    """In the order in which the keys first come."""
    groups: dict[Key, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.items())


def _median(runs: list[Run], figure: Callable[[Run], float]) -> float:
    return median(figure(run) for run in runs)


def _rate(run: Run) -> float:
    return run.orders_per_s


def _taken_in(run: Run) -> float:
    return run.taken_in_per_s


def _p50(run: Run) -> float:
    return run.p50_ms


def _p99(run: Run) -> float:
    return run.p99_ms


def _p999(run: Run) -> float:
    return run.p999_ms
