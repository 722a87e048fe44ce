"""The pure parts of the chaos suite: plans, workloads, recoveries, and whether its breakages still fit the product."""

import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from chaos import foreign
from chaos.breakages import BREAKAGES
from chaos.checker import RULES
from chaos.faults import BEGIN
from chaos.history import Call, FaultSeen
from chaos.plan import CALM_S, DISASTERS, KIND_BY_NAME, KINDS, make_plan
from chaos.recovery import Recovery, recoveries
from chaos.workload import calls, canonical_of
from consumer.core.decode import decode
from consumer.core.record import Record, Rejected
from contracts.partitioner import partition_of
from contracts.topics import UPSERT_PARTITIONS, Topics

TESTS = Path(__file__).parents[2]


@pytest.mark.parametrize("single", [True, False])
def test_the_same_seed_gives_the_same_plan(single: bool) -> None:
    assert make_plan(7, 120, 3, single=single) == make_plan(7, 120, 3, single=single)
    assert make_plan(7, 120, 3, single=single) != make_plan(8, 120, 3, single=single)


def test_the_same_seed_gives_the_same_calls() -> None:
    first, again, other = (list(islice(calls(seed, 3), 600)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert {call.sort for call in first} == {"orders", "broken", "foreign token"}
    assert any(call.twin for call in first)
    assert any(call.hang_up_s is not None for call in first)
    assert max(len(call.items) for call in first) > 100


def test_the_workload_asks_again_with_the_same_key_and_with_another_body() -> None:
    keyed: dict[tuple[str, str], list[tuple[object, ...]]] = {}
    for call in islice(calls(5, 0), 500):
        if call.key is not None:
            keyed.setdefault((call.partner, call.key), []).append(call.items)
    assert any(len(bodies) > len(set(bodies)) for bodies in keyed.values())
    assert any(len(set(bodies)) > 1 for bodies in keyed.values())


@pytest.mark.parametrize("seed", range(40))
def test_two_minutes_have_every_kind_of_fault_and_none_disturbs_what_another_one_does(seed: int) -> None:
    plan = make_plan(seed, 120, 3)
    assert {fault.kind for fault in plan.faults} == set(KIND_BY_NAME)
    assert max(fault.end_s for fault in plan.faults) < 120
    by_part: dict[str, float] = {}
    for fault in plan.faults:
        part = KIND_BY_NAME[fault.kind].part
        assert fault.at_s >= by_part.get(part, 0)
        by_part[part] = fault.end_s
    assert len(plan.scalings) > 10
    assert plan.without_scaling().scalings == ()


def test_singles_leave_time_to_recover() -> None:
    plan = make_plan(1, 1000, 3, single=True)
    assert {fault.kind for fault in plan.faults} == set(KIND_BY_NAME)
    assert {fault.kind for fault in plan.faults[: len(KINDS)]} == set(KIND_BY_NAME)  # then all of them again
    assert all(later.at_s - fault.end_s >= 10 for fault, later in zip(plan.faults, plan.faults[1:], strict=False))


def test_what_a_machine_cannot_do_is_left_out() -> None:
    kinds = {fault.kind for fault in make_plan(1, 400, 1, without=("postgres disk full",)).faults}
    assert kinds == set(KIND_BY_NAME) - {"postgres disk full", "leader kill"}


def test_every_kind_of_fault_is_carried_out() -> None:
    assert {kind.name for kind in (*KINDS, *DISASTERS)} == set(BEGIN)


@pytest.mark.parametrize("disaster", [kind.name for kind in DISASTERS])
@pytest.mark.parametrize("seed", range(5))
def test_a_disaster_is_the_last_fault_and_alone(seed: int, disaster: str) -> None:
    plan = make_plan(seed, 60, 1, disaster=disaster)
    *others, last = plan.faults
    assert last.kind == disaster
    assert max(fault.end_s for fault in others) <= last.at_s
    assert max(scaling.at_s for scaling in plan.scalings) <= last.at_s
    assert last.end_s + CALM_S <= 60
    assert not {kind.name for kind in DISASTERS} & {fault.kind for fault in make_plan(seed, 600, 3).faults}


def test_records_of_a_foreign_writer_say_what_must_become_of_them() -> None:
    """Decoded by the consumer itself: those that it takes, and those that it rejects."""
    topics = Topics("orders")
    for number, record in enumerate(foreign.records(topics, 7)):
        headers = [(name, value if value is None else bytes(value)) for name, value in record["headers"]]
        partition = record.get("partition", partition_of(record["key"].encode(), UPSERT_PARTITIONS))
        found = decode(Record(partition, number, 0, record["key"].encode(), record["value"], headers))
        is_misplaced = partition != partition_of(record["key"].encode(), UPSERT_PARTITIONS)
        assert foreign.is_poison(record["key"].encode()) == (isinstance(found, Rejected) or is_misplaced), record["key"]


def test_an_order_names_its_partner() -> None:
    assert b'"name":"ant 3"' in canonical_of("ant", ("x", 3))
    assert canonical_of("ant", ("x", 3)) != canonical_of("bee", ("x", 3))


def served(at_s: float, ingress: int) -> Call:
    return Call("t", "probe", "probe", (), ingress, at_s, answered_s=at_s + 0.5, status=200)


def test_recovery_is_when_every_ingress_serves_what_was_asked_after_the_end() -> None:
    fault = FaultSeen("consumer kill", "", 10, 12)
    probes = [served(11.9, 0), served(13, 0), served(11, 1), served(16, 1)]
    assert recoveries([fault], probes, 2) == [Recovery(fault, 4.5, True)]
    assert recoveries([fault], probes[:3], 2) == [Recovery(fault, None, True)]


def test_a_fault_that_comes_between_puts_the_recovery_off() -> None:
    first, second = FaultSeen("consumer kill", "", 10, 12), FaultSeen("broker kill", "", 13, 20)
    found = recoveries([first, second, FaultSeen("scaling up", "", 14, 14)], [served(16, 0), served(21, 0)], 1)
    assert found == [Recovery(first, 1.5, False), Recovery(second, 1.5, True)]


def test_breakages_fit_the_product_and_name_invariants() -> None:
    """In one process for all. Each finds what it replaces."""
    program = "from chaos.breakages import BREAKAGES\nfor breakage in BREAKAGES.values(): breakage.apply()"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    known = {rule.split()[0] for rule in RULES}
    assert all(set(breakage.invariants) <= known for breakage in BREAKAGES.values())
