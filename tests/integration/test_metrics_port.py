"""The metrics of several workers on the port of their supervisor: one that ended holds nothing, and stays counted."""

import subprocess
import sys

import pytest

from contracts.settings import MetricsSettings
from deploy import metrics_port
from deploy.local.ports import free_port
from deploy.metrics_port import metrics_port_of_workers
from support.http import get

WORKER = """
import os
from ingress.admission import Admission
from ingress.metrics import IngressMetrics
metrics = IngressMetrics()
metrics.on_answer("/x", 200, 0.1, {})
metrics.flush(Admission(10, 10))
print(os.getpid())
"""


def a_worker_that_ends() -> int:
    """Its pid."""
    return int(subprocess.run([sys.executable, "-c", WORKER], capture_output=True, check=True, text=True).stdout)


def lines(port: int) -> list[str]:
    found = get(port, "/metrics").body.decode().splitlines()
    names = "orders_in_flight_orders_limit ", "orders_http_requests_total{"
    return sorted(line for line in found if line.startswith(names))


def counted(requests: float) -> str:
    return f'orders_http_requests_total{{route="/x",status="200"}} {requests}'


def test_a_worker_that_ended_has_no_limit_and_stays_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    with metrics_port_of_workers(MetricsSettings(metrics_port=port)) as on_end:
        first, second = a_worker_that_ends(), a_worker_that_ends()
        assert lines(port) == [counted(2.0), "orders_in_flight_orders_limit 20.0"]
        on_end(first)
        assert lines(port) == [counted(2.0), "orders_in_flight_orders_limit 10.0"]
        monkeypatch.setattr(metrics_port, "DEAD_WORKERS_MAX", 1)
        on_end(second)
        assert lines(port) == [counted(1.0)]


def test_without_a_port_nothing_is_kept_for_the_workers() -> None:
    with metrics_port_of_workers(MetricsSettings()) as on_end:
        on_end(1)
