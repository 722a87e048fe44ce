"""The tables on the screen, and the picture of latency against offered load."""

from collections.abc import Mapping
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.catch_up import CaughtUp
from bench.experiments import SERVICES, median_of, ratios
from bench.measured import Run
from bench.stack import DRIVERS, Service

_GOALS = {
    "batches of 500, 8 connections": "3 times direct",
    "single orders, 64 connections": "2 times direct",
    "single order, 1 connection": "p50 ≤ 2 times direct, p99 ≤ 5 times p50",
}
OfferedRuns = Mapping[Service, list[tuple[float, Run]]]


def print_pairs(console: Console, runs: list[Run]) -> None:
    table = Table(title="In turn, medians", title_justify="left")
    for name in ("load", "service", "orders/s", "p50 ms", "p99 ms", "p99.9 ms", "ours / it, pair by pair", "goal"):
        table.add_column(name, justify="left" if name in ("load", "service", "goal") else "right")
    for load in dict.fromkeys(run.load for run in runs):
        for service in SERVICES:
            of = [run for run in runs if run.load == load and run.service == service]
            pair_by_pair = "" if service == "ours" else " ".join(f"{r:.2f}" for r in ratios(runs, load, service))
            table.add_row(
                load,
                service,
                f"{median_of(of, lambda run: run.orders_per_s):,.0f}",
                *(f"{median_of(of, figure):.2f}" for figure in (_p50, _p99, _p999)),
                pair_by_pair,
                _GOALS[load] if service == "ours" else "",
            )
        table.add_section()
    console.print(table)


def print_costs(console: Console, runs: list[Run]) -> None:
    processes = ["ingress", "consumer", "kafka", "postgres", *DRIVERS, "generator"]
    table = Table(title="CPU seconds for 10,000 orders, MiB, bytes an order; medians", title_justify="left")
    for name in ("load", "service", *processes, "MiB", "Kafka B", "WAL B"):
        table.add_column(name, justify="left" if name in ("load", "service") else "right")
    for load, service in dict.fromkeys((run.load, run.service) for run in runs):
        of = [run for run in runs if run.load == load and run.service == service]
        memory = [f"{name} {median(run.memory_mib[name] for run in of):.0f}" for name in _measured_processes(service)]
        table.add_row(
            load,
            service,
            *(f"{median(run.cpu_s_per_10k.get(name, 0.0) for run in of):.3f}" for name in processes),
            ", ".join(memory),
            f"{median_of(of, lambda run: run.kafka_bytes_per_order):.0f}",
            f"{median_of(of, lambda run: run.wal_bytes_per_order):.0f}",
        )
    console.print(table)


def print_growth(console: Console, runs: list[Run]) -> None:
    table = Table(title="How it grows", title_justify="left")
    for name in ("load", "orders/s", "p50 ms", "p99 ms", "CPU s for 10,000 orders", "answers"):
        table.add_column(name, justify="left" if name in ("load", "answers") else "right")
    for run in runs:
        cpu = sum(run.cpu_s_per_10k.values()) - run.cpu_s_per_10k["generator"]
        answers = " ".join(f"{status}: {number}" for status, number in run.statuses.items())
        table.add_row(
            run.load, f"{run.orders_per_s:,.0f}", f"{run.p50_ms:.1f}", f"{run.p99_ms:.1f}", f"{cpu:.3f}", answers
        )
    console.print(table)


def print_catching_up(console: Console, results: list[CaughtUp]) -> None:
    table = Table(title="Catching up with a backlog, medians", title_justify="left")
    for name in (
        "backlog",
        "consumers",
        "events/s",
        "CPU s for 10,000: consumers",
        "Postgres",
        "consumer MiB",
        "WAL B",
    ):
        table.add_column(name, justify="left" if name == "backlog" else "right")
    for backlog, consumers in dict.fromkeys((result.backlog, result.consumers) for result in results):
        of = [result for result in results if (result.backlog, result.consumers) == (backlog, consumers)]
        table.add_row(
            backlog,
            str(consumers),
            f"{median(result.events_per_s for result in of):,.0f}",
            f"{median(_consumers_cpu(result) for result in of):.3f}",
            f"{median(result.cpu_s_per_10k['postgres'] for result in of):.3f}",
            f"{median(result.consumer_mib for result in of):.0f}",
            f"{median(result.wal_bytes_per_event for result in of):.0f}",
        )
    console.print(table)


def draw_offered_loads(offered: OfferedRuns, file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 5.5), layout="constrained")
    for service, points in offered.items():
        rates = [rate for rate, _ in points]
        (line,) = axes.plot(rates, [run.p50_ms for _, run in points], marker="o", label=f"{service}, p50")
        axes.plot(rates, [run.p99_ms for _, run in points], marker=".", ls="--", color=line.get_color(), label="p99")
    axes.set(
        yscale="log",
        xlabel="single-order requests offered each second (Poisson)",
        ylabel="ms from when a request was due to its answer",
        title="Latency against offered load",
    )
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    figure.savefig(file, dpi=110)
    pyplot.close(figure)


def _measured_processes(service: str) -> list[str]:
    return ["ingress", "consumer", "kafka", "postgres"] if service == "ours" else [service, "postgres"]


def _consumers_cpu(result: CaughtUp) -> float:
    return sum(cpu_s for name, cpu_s in result.cpu_s_per_10k.items() if name.startswith("consumer"))


def _p50(run: Run) -> float:
    return run.p50_ms


def _p99(run: Run) -> float:
    return run.p99_ms


def _p999(run: Run) -> float:
    return run.p999_ms
