"""`make bench`: everything in turn on one stack of its own. Tables, a results file and a picture go to .bench/."""

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.debezium import class_path
from bench.experiments import FULL, LOADS, QUICK, SINGLES, TINY, Experiments, Peers, best_peers
from bench.picture import draw_offered_loads
from bench.report import markdown
from bench.results import Results
from bench.services import OURS, PROCESSES, Service
from bench.stack import running_stack

PARTS = ("pairs", "catch-up", "starts", "offered", "overload", "growth")
QUICK_PARTS = PARTS[:3]
app = typer.Typer(add_completion=False)


class Size(StrEnum):
    FULL = "full"
    QUICK = "quick"
    TINY = "tiny"


SCALES = {Size.FULL: FULL, Size.QUICK: QUICK, Size.TINY: TINY}


@app.command()
def bench(
    size: Annotated[
        Size, typer.Option(help="quick: shorter and fewer; tiny: only whether the bench works")
    ] = Size.FULL,
    only: Annotated[str | None, typer.Option(help=f"some of {', '.join(PARTS)}, with commas")] = None,
    folder: Annotated[Path, typer.Option(help="where the results go")] = Path(".bench"),
) -> None:
    """Measures the system against its peers."""
    console = Console(width=200, stderr=True)
    parts: Sequence[str] = only.split(",") if only else QUICK_PARTS if size is Size.QUICK else PARTS
    if unknown := set(parts) - set(PARTS):
        raise typer.BadParameter(f"{', '.join(unknown)}: it should be some of {', '.join(PARTS)}", param_hint="--only")
    results = Results(about={"started": datetime.now(UTC).isoformat(), "size": size, **_machine()})
    folder.mkdir(exist_ok=True)
    if "catch-up" in parts:
        class_path()  # a download that fails should do so before half an hour of measuring
    try:
        with running_stack() as stack:
            _measure(Experiments(stack, SCALES[size], console.log), parts, results)
    finally:  # what was measured before an error is of use too
        results.about["load_average_after"] = os.getloadavg()
        (folder / "results.json").write_text(json.dumps(results.as_json(), indent=1))
        (folder / "tables.md").write_text(markdown(results))
        print(markdown(results))  # noqa: T201 - to paste into the page of figures
    if results.offered:
        draw_offered_loads(results.offered, folder / "latency.png")


def _measure(experiments: Experiments, parts: Sequence[str], results: Results) -> None:
    if not {"catch-up", "starts"}.issuperset(parts):  # these two warm up by themselves
        experiments.warm()
    peers: Peers = {load: {kind: Service(kind) for kind in PROCESSES} for load in LOADS}
    if "pairs" in parts:
        results.choices.extend(experiments.choices())
        peers = best_peers(results.choices)
        results.pairs.extend(experiments.pairs(peers))
    if "catch-up" in parts:
        results.caught_up.extend(experiments.catching_up())
    if "starts" in parts:
        results.starts.extend(experiments.starts())
    if "offered" in parts:
        for service in (OURS, *peers[SINGLES].values()):
            results.offered[str(service)] = list(experiments.offered_loads(service))
    if "overload" in parts:
        results.overload.extend(experiments.overload())
    if "growth" in parts:
        results.growth.extend(experiments.growth())


def _machine() -> dict[str, object]:
    return {"cpus": os.cpu_count(), "python": platform.python_version(), "load_average_before": os.getloadavg()}


if __name__ == "__main__":
    app()
