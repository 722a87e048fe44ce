"""kill -9 at every point between the fence and the committed offsets (P3)."""

import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.dying_consumer import POINTS
from support.installation import Installation
from support.orders import an_order
from support.waiting import eventually

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("point", POINTS)
def test_a_waiting_request_gets_the_true_outcomes_after_a_crash(installation: Installation, point: str) -> None:
    """The stored outcomes, not 'skipped', although the events are read twice."""
    ingress = installation.start_ingress()
    token = installation.add_partner("crash")
    program = [sys.executable, "-m", "support.dying_consumer", point]
    dying = installation.start_consumer({"PYTHONPATH": str(TESTS)}, program)
    with ThreadPoolExecutor() as pool:
        orders = [an_order(f"C-{number}") for number in range(20)] + [an_order("C-0"), an_order("C-1", name="2")]
        waiting = pool.submit(installation.post, ingress, token, orders)
        eventually(lambda: dying.exit_code == -9)
        installation.start_consumer()
        assert waiting.result().counts == (20, 1, 1)
    assert len(installation.rows("crash")) == 20
    installation.wait_until_answered()
    parts = installation.sql("SELECT request_size, outcomes::json->'inserted' AS inserted FROM request_part")
    assert sorted(index for part in parts for index in part["inserted"]) == list(range(20))
    assert {part["request_size"] for part in parts} == {22}


def test_an_ingress_killed_with_requests_in_flight_loses_nothing_that_was_published(installation: Installation) -> None:
    ingress = installation.start_ingress()
    token = installation.add_partner("gone")
    topic = installation.settings.topics.upserts
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(installation.post, ingress, token, [an_order("G-1")])
        eventually(lambda: sum(installation.end_offsets(topic).values()) == 1)
        ingress.child.kill()
        with pytest.raises(OSError, match=r"(?i)closed|reset|remote"):
            waiting.result()
    installation.start_consumer()
    installation.wait_until_answered()
    assert list(installation.rows("gone")) == ["G-1"]


def test_a_zombie_that_wakes_up_changes_nothing(installation: Installation) -> None:
    """SIGSTOP beyond the session time-out; another consumer takes over meanwhile."""
    ingress = installation.start_ingress()
    token = installation.add_partner("zombie")
    zombie = installation.start_consumer()
    assert installation.post(ingress, token, [an_order("Z-0")]).counts == (1, 0, 0)
    zombie.signal(signal.SIGSTOP)
    try:
        with ThreadPoolExecutor() as pool:
            orders = [an_order(f"Z-{number}") for number in range(100)]
            waiting = pool.submit(installation.post, ingress, token, orders)
            installation.start_consumer()
            assert waiting.result().counts == (99, 0, 1)
    finally:
        zombie.signal(signal.SIGCONT)
    eventually(lambda: zombie.log.read_text().count("assigned:") >= 2)  # it lost its partitions, and has some again
    assert installation.post(ingress, token, [an_order(f"Z-{number}", name="2") for number in range(100)]).counts == (
        0,
        100,
        0,
    )
    installation.wait_until_answered()
    assert {row["name"] for row in installation.rows("zombie").values()} == {"2"}
    parts = installation.sql("SELECT outcomes::json->'inserted' AS inserted FROM request_part")
    assert sum(len(part["inserted"]) for part in parts) == 100
