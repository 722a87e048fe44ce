"""A minute of faults on one broker, and the checker's verdict on it (tests/chaos/README.md)."""

import shutil
import tempfile
from pathlib import Path

from chaos.history import History
from chaos.plan import Plan, make_plan
from chaos.report import lines
from chaos.run import run
from support.waiting import HANG_S

SEED, LOAD_S, CLIENTS = 77, 60, 10
SORTS = {"orders", "broken", "foreign token", "status"}
STATUSES = {200, 202, 400, 401, 422}


def has_shown_enough(history: History) -> bool:
    """Every sort of call was answered, with every status that does not depend on the faults.

    How often depends on the machine, so nothing is counted.
    """
    answered = [call for call in list(history.calls) if call.status is not None]
    return {call.sort for call in answered} >= SORTS and {call.status for call in answered} >= STATUSES


def test_the_promises_hold_over_a_minute_of_faults(tmp_path: Path) -> None:
    plans: list[Plan] = []

    def plan(has_own_disk: bool) -> Plan:
        plans.append(make_plan(SEED, LOAD_S, 1, without=() if has_own_disk else ("postgres disk full",)))
        return plans[0]

    shown: list[str] = []
    # Not below pytest's own temporary folder, which the user of Postgres may not enter.
    folder = Path(tempfile.mkdtemp(prefix="orders-chaos-"))
    try:
        summary = run(
            plan,
            folder,
            tmp_path,
            1,
            CLIENTS,
            shown.append,
            {},
            healed_within_s=HANG_S,
            has_shown_enough=has_shown_enough,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    assert summary.violations == [], "\n".join(lines(summary))
    assert summary.faults == len(plans[0].faults) >= 12
    assert summary.faults_by_kind.keys() >= {
        "poison records",
        "shop columns",
        "shop trigger",
        "broker clock ahead",
    }
    assert summary.ahead > 0  # events that the broker gave a time of the future
    assert summary.letters["RecordError"] > 0  # of the poison records
    assert len(shown) > summary.faults  # a line for each
    assert summary.answers_by_sort.keys() == SORTS
    assert summary.answers.keys() >= {"2xx", "4xx"}
    assert summary.conflicts > 0
    assert (tmp_path / "timeline.png").stat().st_size > 10_000
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) > summary.requests
