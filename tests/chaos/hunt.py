"""`python -m chaos.hunt [NAME...]`: for each breakage, which seed finds it, by which invariant, and how soon."""

import json
import sys
import tempfile
from pathlib import Path

from chaos.__main__ import main
from chaos.breakages import BREAKAGES

SEEDS = range(1, 6)
DURATION_S = 30


def hunt(name: str) -> str:
    """A line of a table in Markdown."""
    spent_s = 0.0
    for seed in SEEDS:
        with tempfile.TemporaryDirectory(prefix="orders-hunt-") as output:
            arguments = ["--breakage", name, "--seed", str(seed), "--duration-s", str(DURATION_S)]
            main([*arguments, "--output", output])
            summary = json.loads((Path(output) / "summary.json").read_text())
        spent_s += summary["checked_s"]
        found = sorted({violation["invariant"].split()[0] for violation in summary["violations"]}, key=_number)
        if set(found) & set(BREAKAGES[name].invariants):
            return f"| {name} | {seed} | {', '.join(found)} | {spent_s:.0f} |"
    return f"| {name} | not by seeds {SEEDS[0]} to {SEEDS[-1]} | | {spent_s:.0f} |"


def _number(invariant: str) -> int:
    return int(invariant.removeprefix("I"))


if __name__ == "__main__":
    table = [hunt(name) for name in sys.argv[1:] or BREAKAGES]
    print("| breakage | found by seed | by | after s |\n|---|---|---|---|", *table, sep="\n")  # noqa: T201
