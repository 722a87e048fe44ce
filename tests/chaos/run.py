"""One run: start everything, load and faults, heal, collect, check."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from chaos.checker import check
from chaos.cluster import Cluster
from chaos.collect import collect
from chaos.facts import Facts
from chaos.generator import ALL_PARTNERS, PROBE, Load
from chaos.history import History
from chaos.nemesis import Nemesis
from chaos.plan import Plan
from chaos.recovery import recoveries
from chaos.report import Summary, summarize, write
from chaos.timeline import draw
from chaos.weights import Scales
from chaos.workload import INGRESSES

HEALED_WITHIN_S = 30.0
"""On an idle machine, this long after the last fault every client is served and the lag is gone."""
_PAUSE_S = 0.05
MakePlan = Callable[[bool], Plan]
"""Its argument: whether Postgres has a disk of its own that can be filled."""


def run(
    make_plan: MakePlan, folder: Path, output: Path, brokers: int, clients: int, show: Callable[[str], None],
    programs: Mapping[str, list[str]], *, rival: bool = False, healed_within_s: float = HEALED_WITHIN_S,
    has_shown_enough: Callable[[History], bool] = lambda _: True,
) -> Summary:  # fmt: skip
    """`folder` is for the servers' data, `output` for what is kept: history, picture, summary.

    After the plan the load goes on until `has_shown_enough`, which takes longer on a slow machine. `rival`: somebody
    asks for every new Idempotency-Key with another body.
    """
    output.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(folder, brokers, programs)
    try:
        tokens = cluster.start(ALL_PARTNERS)
        plan = make_plan(cluster.has_own_disk)
        with History(output / "history.jsonl") as history:
            ports = [slot.proxy_port for slot in cluster.ingresses]
            load = Load(plan.seed, clients, ports, tokens, history, rival=rival)
            facts = _load_and_heal(cluster, plan, load, history, show, has_shown_enough, healed_within_s)
            violations = check(facts)
            probes = [call for call in facts.calls if call.partner == PROBE]
            recovered = recoveries(facts.faults, probes, INGRESSES)
            summary = summarize(plan, facts, history, recovered, violations)
            write(output, summary)
            title = f"seed {plan.seed}, {plan.brokers} brokers: {len(violations) or 'no'} violations"
            draw(output / "timeline.png", title, facts.calls, facts.faults, history.weights)
        return summary
    finally:
        cluster.stop()


def _load_and_heal(
    cluster: Cluster, plan: Plan, load: Load, history: History, show: Callable[[str], None],
    has_shown_enough: Callable[[History], bool], healed_within_s: float,
) -> Facts:  # fmt: skip
    nemesis = Nemesis(cluster, plan, history, show)
    scales = Scales(cluster, history)
    scales.start()
    try:
        nemesis.run()
        while not has_shown_enough(history):
            nemesis.keep_up()
            time.sleep(_PAUSE_S)
        load.stop()
        while not load.has_ended:
            nemesis.keep_up()
            time.sleep(_PAUSE_S)
        nemesis.heal()
        healed_s = history.now_s()
        with ThreadPoolExecutor(1) as asking:
            served = asking.submit(load.not_served, healed_within_s)
            while not served.done():  # after a loss of Kafka, an ingress ends when it publishes for the first time
                nemesis.keep_up()
                time.sleep(_PAUSE_S)
        not_served = served.result()
        lag_gone_s = _lag_gone_s(cluster, history, healed_s, healed_within_s)
    finally:
        load.stop()
        scales.stop.set()
        scales.join()
    show(f"{history.now_s():7.2f} s  healed, the lag was gone after {lag_gone_s} s; checking")
    facts = collect(cluster.installation, history, plan.seed, cluster.lost)
    facts.not_served, facts.lag_gone_s = not_served, lag_gone_s
    facts.unexpected = [*nemesis.unexpected, *cluster.complaints]
    return facts


def _lag_gone_s(cluster: Cluster, history: History, healed_s: float, within_s: float) -> float | None:
    """How long after `healed_s` the lag was gone. None if it stays longer than `within_s`."""
    while history.now_s() < healed_s + within_s:
        if cluster.installation.is_answered():
            return round(history.now_s() - healed_s, 2)
        time.sleep(_PAUSE_S)
    return None
