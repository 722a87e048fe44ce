"""What a start costs: CPU until a consumer's first record is in the tables, and until an ingress's first answer."""

import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from uuid import uuid4

import psutil

from bench.meter import cpu_s_of
from bench.services import PYTHON_PATH
from bench.stack import Stack
from deploy.local.ports import free_port
from support.http import Connection

_CHECK_S = 0.02
_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Start:
    process: str
    cpu_s: float
    wall_s: float


def start_of_consumer(stack: Stack, first: int) -> Start:
    """No other consumer runs. An order waits in the topic."""
    stack.write_backlog(1, first, 1)
    before = stack.applied()
    from_s = time.perf_counter()
    child = stack.launch_consumer()
    try:
        return _start("consumer", child.pid, from_s, lambda: stack.applied() > before)
    finally:
        child.stop()


def start_of_ingress(stack: Stack) -> Start:
    """A consumer runs."""
    port = free_port()
    from_s = time.perf_counter()
    child = stack.installation.start("ingress", {"ORDERS_PORT": str(port), **PYTHON_PATH})
    try:
        return _start("ingress", child.pid, from_s, lambda: _answers(port, stack.token))
    finally:
        child.stop()


def _start(process: str, pid: int, from_s: float, is_done: Callable[[], bool]) -> Start:
    deadline_s = from_s + _TIMEOUT_S
    while not is_done():
        if time.perf_counter() > deadline_s:
            raise RuntimeError(f"the {process} did not start")
        time.sleep(_CHECK_S)
    return Start(process, cpu_s_of(psutil.Process(pid)), time.perf_counter() - from_s)


def _answers(port: int, token: str) -> bool:
    order = {
        **dict.fromkeys(("name", "email", "refferral_code", "user_id"), "start"),
        **{"order_id": f"START-{uuid4()}", "products": [], "total_amount": 1, "discount": 0},
    }
    with suppress(OSError), closing(Connection(port)) as connection:
        return connection.post(token, [order]).status == 200
    return False
