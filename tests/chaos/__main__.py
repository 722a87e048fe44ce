"""`python -m chaos --seed 7 --duration-s 120 --brokers 3`: see README.md beside this file."""

import argparse
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from chaos.breakages import BREAKAGES, programs_of
from chaos.plan import DISASTER_BY_NAME, KIND_BY_NAME, Plan, make_plan
from chaos.report import lines
from chaos.run import run

STEADY_WITHOUT = ("ingress kill", "ingress term", "consumer kill", "consumer term")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--duration-s", type=float, default=60)
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=1)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--output", type=Path, default=None, help="default: .chaos/<seed>")
    parser.add_argument("--single", action="store_true", help="one fault at a time, with time to recover")
    parser.add_argument("--only", nargs="+", choices=KIND_BY_NAME, metavar="KIND", help=f"of {', '.join(KIND_BY_NAME)}")
    parser.add_argument(
        "--disaster", choices=DISASTER_BY_NAME, metavar="KIND", help=f"of {', '.join(DISASTER_BY_NAME)}"
    )
    parser.add_argument("--rival", action="store_true", help="somebody asks for every new key with another body")
    parser.add_argument("--steady", action="store_true", help="no process is ended: for its memory over a long time")
    parser.add_argument(
        "--breakage", choices=sorted(BREAKAGES), metavar="NAME", help="switch off one thing that upholds the promises"
    )
    given = parser.parse_args(arguments)
    without = set(STEADY_WITHOUT) if given.steady else set()
    if given.only:
        without |= KIND_BY_NAME.keys() - set(given.only)

    def plan(has_own_disk: bool) -> Plan:
        if not has_own_disk:
            _show("Postgres has no disk of its own here (that needs root on Linux): it is never full in this run")
        left_out = without if has_own_disk else without | {"postgres disk full"}
        made = make_plan(
            given.seed, given.duration_s, given.brokers, single=given.single, without=left_out, disaster=given.disaster
        )
        return made.without_scaling() if given.steady else made

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left behind, as after Ctrl-C
    output = given.output or Path(".chaos") / str(given.seed)
    folder = Path(tempfile.mkdtemp(prefix="orders-chaos-"))
    _show(f"seed {given.seed}, {given.duration_s:g} s, {given.brokers} brokers; history and picture in {output}")
    try:
        programs = programs_of(given.breakage)
        summary = run(plan, folder, output, given.brokers, given.clients, _show, programs, rival=given.rival)
    finally:
        for log in folder.glob("*.log"):
            shutil.copy(log, output)
        shutil.rmtree(folder, ignore_errors=True)
    for line in lines(summary):
        _show(line)
    return 1 if summary.violations else 0


def _show(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - this is a command


if __name__ == "__main__":
    sys.exit(main())
