"""What is measured beside each other, and how the peers are started."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from contracts.topics import UPSERT_PARTITIONS
from deploy.local.child import Child
from deploy.local.ports import free_port
from support.http import get
from support.installation import Ingress, Installation

TESTS = Path(__file__).parents[1]
PYTHON_PATH = {"PYTHONPATH": str(TESTS)}
READY_TIMEOUT_S = 60.0
MADE_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Service:
    """`processes` share the connections evenly, each on its own port: a balancer in front that costs nothing."""

    kind: str
    processes: int = 1

    def __str__(self) -> str:
        return self.kind if self.kind == "ours" else f"{self.kind} ({self.processes})"


OURS: Final = Service("ours")
PROCESSES: Final = {"psycopg": (1, 2, 4), "asyncpg": (1, 2, 4), "outbox": (1, 2)}
"""The kinds of peers, and with how many processes each is tried. With `outbox` there is a relay too."""


def start_peer(installation: Installation, kind: str, token: str) -> Ingress:
    port = free_port()
    child = installation.start(
        kind,
        {"ORDERS_PORT": str(port), "BENCH_TOKEN": token, "BENCH_DRIVER": kind, **PYTHON_PATH},
        [sys.executable, "-m", "bench.direct"],
    )
    child.wait_until(lambda: _answers(port), READY_TIMEOUT_S)
    return Ingress(child, port)


def start_relay(installation: Installation, topic: str) -> Child:
    """Returns when it runs: before that, it would cost the measured time its start."""
    program = [sys.executable, "-m", "bench.relay"]
    child = installation.start("relay", {"BENCH_TOPIC": topic, **PYTHON_PATH}, program)
    child.wait_until(lambda: b"relaying" in child.log.read_bytes(), READY_TIMEOUT_S)
    return child


def make_topic(bootstrap: str, name: str) -> None:
    """Like ours: as many partitions."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(name, UPSERT_PARTITIONS, 1)])[name].result(MADE_TIMEOUT_S)


def environment_of(installation: Installation) -> dict[str, str]:
    return {**os.environ, **installation.environment, **PYTHON_PATH}


def _answers(port: int) -> bool:
    try:
        return get(port, "/openapi.json").status == 200
    except OSError:
        return False
