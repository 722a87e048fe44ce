"""A thread that ends, ends its process: the requests in flight are answered, and the last line says why."""

import os
import signal
import sys
from pathlib import Path

import pytest

from deploy.local.ports import free_port
from support.installation import Installation
from support.orders import an_order
from support.waiting import eventually

PATH = {"PYTHONPATH": str(Path(__file__).parents[1])}


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("replies", ".results ended"),
        ("partners", ".partners ended"),
        ("topics", "could not be checked any more"),
        ("producer", "failed for good"),
    ],
)
def test_a_thread_that_ends_ends_the_ingress(installation: Installation, part: str, said: str) -> None:
    installation.start_consumer()
    ingress = installation.start_ingress(PATH, [sys.executable, "-m", "support.dying_ingress", part])
    token = installation.add_partner("p")
    assert installation.post(ingress, token, [an_order()]).counts == (1, 0, 0)
    os.kill(ingress.child.pid, signal.SIGUSR1)
    eventually(lambda: not ingress.is_ready)
    eventually(lambda: ingress.child.exit_code is not None)
    assert ingress.child.exit_code == 1
    assert said in ingress.child.log.read_text().splitlines()[-1]


def test_a_setting_that_no_client_starts_with_is_named_at_the_start(installation: Installation) -> None:
    """It killed the consumer when its own clients were made."""
    for command in ("consumer", "ingress"):
        for properties, name in (
            ('{"message.max.bytes": 2000000}', "message.max.bytes cannot be set"),
            ('{"partition.assignment.strategy": "range"}', "partition.assignment.strategy cannot be set"),
            ('{"reconnect.backoff.ms": 60000}', "reconnect.backoff.max.ms"),
            ('{"no.such.property": 1}', "no.such.property"),
        ):
            child = installation.start(
                command, {"ORDERS_KAFKA_PROPERTIES": properties, "ORDERS_PORT": str(free_port())}
            )
            eventually(lambda child=child: child.exit_code is not None)  # type: ignore[misc]
            assert child.exit_code == 1
            text = child.log.read_text()
            assert "ORDERS_KAFKA_PROPERTIES" in text
            assert name in text
            assert "A bug" not in text
