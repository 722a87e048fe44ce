"""`make bench`: everything in turn on one stack of its own; tables, a results file and a picture in .bench/."""

import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench import report
from bench.catch_up import CaughtUp
from bench.experiments import FULL, QUICK, SERVICES, Experiments
from bench.measured import Run
from bench.stack import running_stack

PARTS = ("pairs", "catch-up", "growth", "offered", "overload")
app = typer.Typer(add_completion=False)


@app.command()
def bench(
    quick: Annotated[bool, typer.Option("--quick", help="shorter runs, fewer rounds, a smaller table")] = False,
    only: Annotated[str, typer.Option(help=f"some of {', '.join(PARTS)}, with commas")] = ",".join(PARTS),
    folder: Annotated[Path, typer.Option(help="where the results go")] = Path(".bench"),
) -> None:
    """Measures the system against services that write to Postgres directly."""
    console = Console(width=200)
    parts = only.split(",")
    results: dict[str, object] = {"started": datetime.now(UTC).isoformat(), "quick": quick, "cpus": os.cpu_count()}
    folder.mkdir(exist_ok=True)
    with running_stack() as stack:
        experiments = Experiments(stack, QUICK if quick else FULL, console.log)
        experiments.warm()
        if "pairs" in parts:
            pairs = list(experiments.pairs())
            results["pairs"] = _as_json(pairs)
            report.print_pairs(console, pairs)
            report.print_costs(console, pairs)
        if "catch-up" in parts:
            caught_up: list[CaughtUp] = list(experiments.catching_up())
            results["catching_up"] = [asdict(result) for result in caught_up]
            report.print_catching_up(console, caught_up)
        if "offered" in parts:
            offered = {service: list(experiments.offered_loads(service)) for service in SERVICES}
            results["offered"] = {name: [(rate, run.as_json()) for rate, run in of] for name, of in offered.items()}
            report.draw_offered_loads(offered, folder / "latency.png")
        for part, measure in (("overload", experiments.overload), ("growth", experiments.growth)):
            if part in parts:
                runs = list(measure())
                results[part] = _as_json(runs)
                report.print_growth(console, runs)
        results["load_average"] = os.getloadavg()
    (folder / "results.json").write_text(json.dumps(results, indent=1))
    console.print(f"Results: {folder / 'results.json'}")


def _as_json(runs: list[Run]) -> list[dict[str, object]]:
    return [run.as_json() for run in runs]


if __name__ == "__main__":
    app()
