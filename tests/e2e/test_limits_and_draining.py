"""Limits that refuse a whole request, bugs, and how an ingress stops (design 5)."""

import os
import re
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.http import get
from support.installation import Installation
from support.orders import an_order
from support.waiting import eventually


def test_a_partner_over_its_rate_gets_429_and_is_let_in_again(installation: Installation) -> None:
    ingress = installation.start_ingress()
    installation.start_consumer()
    token, other = installation.add_partner("fast", orders_per_s=10), installation.add_partner("other")
    assert installation.post(ingress, token, [an_order(f"F-{n}") for n in range(25)]).counts == (25, 0, 0)
    ends = installation.end_offsets(installation.settings.topics.upserts)
    answer = installation.post(ingress, token, [an_order()])
    assert (answer.status, list(answer.json)) == (429, ["error"])
    assert int(answer.headers["retry-after"]) >= 1
    assert installation.end_offsets(installation.settings.topics.upserts) == ends
    assert installation.post(ingress, other, [an_order()]).counts == (1, 0, 0)
    eventually(lambda: installation.post(ingress, token, [an_order()]).status == 200)


def test_too_many_orders_in_flight_are_503_for_the_whole_request(installation: Installation) -> None:
    ingress = installation.start_ingress({"ORDERS_IN_FLIGHT_ORDERS_MAX": "1000"})
    token = installation.add_partner()
    topic = installation.settings.topics.upserts
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(installation.post, ingress, token, [an_order(f"W-{n}") for n in range(995)])
        eventually(lambda: sum(installation.end_offsets(topic).values()) == 995)
        for more in ({}, {"name": 5}):  # also for an invalid order: the body is not even read
            answer = installation.post(ingress, token, [an_order(f"X-{n}", **more) for n in range(6)])
            assert (answer.status, list(answer.json)) == (503, ["error"])
            assert "retry-after" in answer.headers
        assert sum(installation.end_offsets(topic).values()) == 995
        installation.start_consumer()
        assert waiting.result().counts == (995, 0, 0)
    assert installation.post(ingress, token, [an_order(f"X-{n}") for n in range(6)]).counts == (6, 0, 0)


def test_too_many_bytes_in_flight_are_503_and_429_for_the_partner_that_has_them(installation: Installation) -> None:
    ingress = installation.start_ingress({"ORDERS_IN_FLIGHT_BYTES_MAX": str(4 << 20)})
    token, other = installation.add_partner(), installation.add_partner()
    topic = installation.settings.topics.upserts
    large = [an_order(f"L-{n}", address="x" * 250_000) for n in range(12)]
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(installation.post, ingress, token, large)
        eventually(lambda: sum(installation.end_offsets(topic).values()) == 12)
        assert installation.post(ingress, other, large).status == 503
        refused = installation.post(ingress, token, large)
        assert (refused.status, list(refused.json)) == (429, ["error"])
        assert "of yours" in refused.json["error"]
        assert "retry-after" in refused.headers
        assert installation.post(ingress, other, []).counts == (0, 0, 0)
        assert sum(installation.end_offsets(topic).values()) == 12
        installation.start_consumer()
        assert waiting.result().counts == (12, 0, 0)
    assert installation.post(ingress, token, large).counts == (0, 0, 12)


def test_a_bug_is_a_500_with_an_id_and_no_internals(installation: Installation) -> None:
    program = [sys.executable, "-m", "support.broken_ingress"]
    ingress = installation.start_ingress({"PYTHONPATH": str(Path(__file__).parents[1])}, program)
    token = installation.add_partner()
    answer = installation.post(ingress, token, [an_order()])
    assert (answer.status, list(answer.json)) == (500, ["error"])
    assert b"secret" not in answer.body
    found = re.search(r"[0-9a-f]{8}-[0-9a-f-]{27}", answer.json["error"])
    assert found
    log = ingress.child.log.read_text()
    assert f"error {found[0]}" in log
    assert "a secret of the inside" in log
    assert not any(installation.end_offsets(installation.settings.topics.upserts).values())


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_answers_what_is_in_flight_and_refuses_what_is_new(installation: Installation, workers: int) -> None:
    ingress = installation.start_ingress({"ORDERS_WORKERS": str(workers)})
    token = installation.add_partner("drain")
    eventually(lambda: {installation.post(ingress, token, []).status for _ in range(16)} == {200})  # every worker
    topic = installation.settings.topics.upserts
    with ThreadPoolExecutor(8) as pool:
        # so many that each worker has one
        waiting = [pool.submit(installation.post, ingress, token, [an_order(f"D-{n}")]) for n in range(8)]
        eventually(lambda: sum(installation.end_offsets(topic).values()) == 8)
        ingress.child.signal(signal.SIGTERM)
        eventually(lambda: get(ingress.port, "/readyz").json.get("accepting") is False)
        if workers == 1:
            answer = installation.post(ingress, token, [an_order("new")])
            assert (answer.status, list(answer.json)) == (503, ["error"])
            assert "retry-after" in answer.headers
            assert get(ingress.port, "/readyz").status == 503
        assert ingress.child.exit_code is None
        assert sum(installation.end_offsets(topic).values()) == 8
        installation.start_consumer()
        assert [future.result().counts for future in waiting] == [(1, 0, 0)] * 8
    eventually(lambda: ingress.child.exit_code == 0)


def test_a_worker_that_dies_is_started_again(installation: Installation) -> None:
    ingress = installation.start_ingress({"ORDERS_WORKERS": "2"})
    workers = _children(ingress.child.pid)
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    eventually(lambda: len(_children(ingress.child.pid)) == 2 and workers[0] not in _children(ingress.child.pid))
    workers = _children(ingress.child.pid)  # one of them is still starting
    ingress.child.kill()  # nobody is left to stop the workers
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
