"""The summary of a run: for a person, and as JSON for a table of many runs."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from chaos.checker import Violation, shown
from chaos.facts import Facts
from chaos.history import History
from chaos.plan import Plan
from chaos.recovery import Recovery
from chaos.timeline import class_of
from chaos.weights import by_minute


@dataclass(frozen=True)
class Summary:
    seed: int
    brokers: int
    duration_s: float
    requests: int
    orders: int
    orders_acknowledged: int
    events: int
    copies: int
    """Events that repeat an earlier one: a producer sent it again, or a partner asked again with its key."""
    ahead: int
    """Events of a time that had not come: the broker's clock was ahead."""
    rows: int
    faults: int
    scalings: int
    faults_by_kind: dict[str, int]
    answers: dict[str, int]
    answers_by_sort: dict[str, int]
    """How many calls of each sort were answered; `status` asks for the outcomes of an earlier call."""
    conflicts: int
    letters: dict[str, int]
    """How many dead letters there are for each reason."""
    slowest_recovery_s: float | None
    slowest_recovery_of: str
    recovery_alone_s: dict[str, float | None]
    lag_gone_s: float | None
    rss_mb_by_minute: dict[str, list[float]]
    violations: list[Violation]
    checked_s: float
    """How long after its start the run knew its violations."""


def summarize(
    plan: Plan, facts: Facts, history: History, recovered: list[Recovery], violations: list[Violation]
) -> Summary:
    now_ms = (history.start_s + history.now_s()) * 1000
    asked = [call for call in facts.calls if call.sort != "status"]
    slowest = max(recovered, key=lambda r: float("inf") if r.after_s is None else r.after_s, default=None)
    lasting = [fault for fault in facts.faults if fault.end_s > fault.begin_s]
    return Summary(
        seed=plan.seed,
        brokers=plan.brokers,
        duration_s=plan.duration_s,
        requests=len(asked),
        orders=sum(len(call.items) for call in asked),
        orders_acknowledged=sum(len(call.items) for call in asked if call.status == 200),
        events=len(facts.events),
        copies=len(facts.events) - len({(event.identity, event.index) for event in facts.events}),
        ahead=sum(event.time_ms > now_ms for event in facts.events),
        rows=len(facts.rows),
        faults=len(lasting),
        scalings=len(facts.faults) - len(lasting),
        faults_by_kind=dict(sorted(Counter(fault.kind for fault in facts.faults).items())),
        answers=dict(sorted(Counter(class_of(call) for call in asked).items())),
        answers_by_sort=dict(Counter(call.sort for call in facts.calls if call.status is not None)),
        conflicts=sum(call.status == 422 for call in asked),
        letters=dict(sorted(Counter(facts.letters.values()).items())),
        slowest_recovery_s=slowest.after_s if slowest else None,
        slowest_recovery_of=slowest.fault.kind if slowest else "",
        recovery_alone_s=_slowest_by_kind(recovery for recovery in recovered if recovery.alone),
        lag_gone_s=facts.lag_gone_s,
        rss_mb_by_minute=by_minute(history.weights),
        violations=violations,
        checked_s=history.now_s(),
    )


def _slowest_by_kind(recovered: Iterable[Recovery]) -> dict[str, float | None]:
    slowest: dict[str, float | None] = {}
    for recovery in recovered:
        before = slowest.get(recovery.fault.kind, 0.0)
        never = before is None or recovery.after_s is None
        slowest[recovery.fault.kind] = None if never else max(before or 0, recovery.after_s or 0)
    return dict(sorted(slowest.items()))


def lines(summary: Summary) -> list[str]:
    slowest = f"{summary.slowest_recovery_s} s after {summary.slowest_recovery_of or 'no fault'}"
    answers = ", ".join(f"{name} {count}" for name, count in summary.answers.items())
    letters = ", ".join(f"{reason} {count}" for reason, count in summary.letters.items())
    return [
        f"orders        {summary.orders} in {summary.requests} requests, {summary.orders_acknowledged} acknowledged; "
        f"{summary.events} events, of them {summary.copies} copies and {summary.ahead} of the future, "
        f"{summary.rows} rows",
        f"faults        {summary.faults}, and {summary.scalings} times a consumer more or less",
        f"answers       {answers}; of the 4xx {summary.conflicts} for another body under a key",
        f"letters       {letters or 'none'}",
        f"recovery      at the slowest {slowest}; once healed, the lag was gone after {summary.lag_gone_s} s",
        f"violations    {len(summary.violations) or 'none'}",
        *shown(summary.violations),
    ]


def write(folder: Path, summary: Summary) -> None:
    (folder / "summary.json").write_text(json.dumps(asdict(summary), indent=1))
