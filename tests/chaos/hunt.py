"""`python -m chaos.hunt [NAME...]`: for each breakage, which seed finds it, by which invariant, and how soon."""

import json
import sys
import tempfile
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

from chaos.__main__ import main
from chaos.breakages import BREAKAGES, Breakage
from chaos.plan import make_plan

SEEDS_MAX = 5
DURATION_S = 30


def hunt(name: str) -> str:
    """A line of a table in Markdown."""
    spent_s = 0.0
    for seed in seeds_for(BREAKAGES[name]):
        with tempfile.TemporaryDirectory(prefix="orders-hunt-") as output:
            arguments = ["--breakage", name, "--seed", str(seed), "--duration-s", str(DURATION_S)]
            breakage = BREAKAGES[name]
            arguments += ["--disaster", breakage.disaster] if breakage.disaster else []
            arguments += ["--rival"] if breakage.rival else []
            main([*arguments, "--output", output])
            summary = json.loads((Path(output) / "summary.json").read_text())
        spent_s += summary["checked_s"]
        found = sorted({violation["invariant"].split()[0] for violation in summary["violations"]}, key=_number)
        if set(found) & set(BREAKAGES[name].invariants):
            return f"| {name} | {seed} | {', '.join(found)} | {spent_s:.0f} |"
    return f"| {name} | by none of {SEEDS_MAX} seeds | | {spent_s:.0f} |"


def seeds_for(breakage: Breakage) -> Iterator[int]:
    """The first seeds whose plan has a fault that can show the breakage. Plans are known before they run."""

    def is_fit(seed: int) -> bool:
        kinds = {fault.kind for fault in make_plan(seed, DURATION_S, 1).faults}
        return not breakage.shown_by or not kinds.isdisjoint(breakage.shown_by)

    return islice(filter(is_fit, count(1)), SEEDS_MAX)


def _number(invariant: str) -> int:
    return int(invariant.removeprefix("I"))


if __name__ == "__main__":
    print("| breakage | found by seed | by | after s |\n|---|---|---|---|")  # noqa: T201
    for breakage in sys.argv[1:] or BREAKAGES:
        print(hunt(breakage), flush=True)  # noqa: T201
