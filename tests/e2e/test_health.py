"""The health port of a consumer: ready when it applies orders, and stalled if its loop hangs."""

import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.local.ports import free_port
from support.http import get_health
from support.installation import Installation, headers_of
from support.waiting import eventually

TESTS = Path(__file__).parents[1]


@pytest.fixture
def port() -> int:
    return free_port()


def is_ready(port: int) -> bool:
    try:
        return get_health(port, "/readyz").status == 200
    except OSError:
        return False


def status_of(port: int) -> Any:
    return eventually(lambda: get_health(port, "/healthz"), not_yet=(OSError,))


def test_a_consumer_that_hangs_in_a_call_is_told(installation: Installation, port: int) -> None:
    program = [sys.executable, "-W", "error", "-m", "support.hanging_consumer"]
    consumer = installation.start_consumer({"ORDERS_HEALTH_PORT": str(port), "PYTHONPATH": str(TESTS)}, program)
    eventually(lambda: is_ready(port))
    assert status_of(port).status == 200
    installation.produce([{"key": b"O-1", "value": b"{}", "headers": headers_of("p")}])
    eventually(lambda: get_health(port, "/healthz").status == 503)
    assert get_health(port, "/healthz").json["status"] == "stalled"
    assert not is_ready(port)
    consumer.kill()  # it hears no SIGTERM


def test_a_consumer_without_postgres_is_alive_and_not_ready(installation: Installation, port: int) -> None:
    nowhere = f"postgresql://user@127.0.0.1:{free_port()}/none"
    child = installation.start("consumer", {"ORDERS_HEALTH_PORT": str(port), "ORDERS_POSTGRES_URL": nowhere})
    eventually(lambda: b"attempt 1 failed" in child.log.read_bytes())
    assert status_of(port).status == 200
    readiness = get_health(port, "/readyz")
    assert readiness.status == 503
    assert readiness.json == {
        "loop_turns": True,
        "partitions_assigned": False,
        "postgres_connected": False,
        "not_stopping": True,
    }


def test_two_consumers_need_two_ports(installation: Installation, port: int) -> None:
    variables = {"ORDERS_HEALTH_PORT": str(port)}
    installation.start_consumer(variables)
    second = installation.start("consumer", variables)
    eventually(lambda: second.exit_code is not None)
    assert second.exit_code == 1
    assert "ORDERS_HEALTH_PORT" in second.log.read_text()
