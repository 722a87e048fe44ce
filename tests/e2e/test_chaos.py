"""A minute of faults on one broker, and the checker's verdict on it (tests/chaos/README.md)."""

import shutil
import tempfile
from pathlib import Path

import pytest

from chaos.plan import Plan, make_plan
from chaos.report import lines
from chaos.run import run

SEED, LOAD_S, CLIENTS = 4, 60, 10


@pytest.mark.timeout(300)
def test_the_promises_hold_over_a_minute_of_faults(tmp_path: Path) -> None:
    def plan(has_own_disk: bool) -> Plan:
        return make_plan(SEED, LOAD_S, 1, without=() if has_own_disk else ("postgres disk full",))

    shown: list[str] = []
    # Not below pytest's own temporary folder: that is closed to the user as whom Postgres runs.
    folder = Path(tempfile.mkdtemp(prefix="orders-chaos-"))
    try:
        summary = run(plan, folder, tmp_path, 1, CLIENTS, shown.append, {})
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    assert summary.violations == [], "\n".join(lines(summary))
    assert summary.faults >= 12
    assert len(shown) > summary.faults  # a line for each
    assert summary.answers["2xx"] > 200
    assert summary.conflicts > 0
    assert (tmp_path / "timeline.png").stat().st_size > 10_000
    assert (tmp_path / "history.jsonl").stat().st_size > 100_000
