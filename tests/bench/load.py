"""The load generator: `python -m bench.load`, a task as JSON on stdin, what came out as JSON on stdout.

One process, plain sockets and epoll: a request costs it some 30 µs, whatever is in the body. Two ways to ask:

closed loop  each connection sends its next request when it has its answer
open loop    requests are due at times drawn beforehand (Poisson); one that finds no free connection waits in here, and
             its latency counts from when it was due, so that waiting is not left out
"""

import json
import random
import resource
import select
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from bench.sample import Requests

_RECEIVE_BYTES = 65536


@dataclass
class Task:
    """What to do. `requests_per_s` makes it an open loop."""

    connections: int
    orders: int
    warm_up_s: float
    measure_s: float
    ports: list[int] = field(default_factory=list)  # the connections are dealt to them; the stack knows them
    token: str = ""
    requests_per_s: float | None = None
    products: int = 1
    first: int = 0
    keys: int | None = None
    total: int = 100
    give_up_s: float = 15.0


@dataclass
class Outcome:
    """Figures of the requests that were answered (open loop: that were due) in the measured time."""

    seconds: float = 0.0
    sent: int = 0
    answered_orders: int = 0  # with 200, in the warm-up too
    statuses: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    latencies_ms: list[float] = field(default_factory=list)  # of the answers with 200
    cpu_s: float = 0.0


class Connection:
    """A keep-alive connection that carries one request at a time, without blocking."""

    def __init__(self, port: int, poll: "select.epoll") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.since_s = 0.0
        self._poll = poll
        self._unsent = memoryview(b"")
        self._received = b""
        poll.register(self.socket.fileno(), select.EPOLLIN)

    def send(self, request: bytes, since_s: float) -> None:
        self.since_s = since_s
        self._unsent = memoryview(request)
        if self._send_more():
            self._poll.modify(self.socket.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def on_event(self, events: int) -> tuple[int, bytes] | None:
        """The status and the body of the answer, if it has arrived completely."""
        if events & select.EPOLLOUT and not self._send_more():
            self._poll.modify(self.socket.fileno(), select.EPOLLIN)
        if not events & ~select.EPOLLOUT:
            return None
        data = self.socket.recv(_RECEIVE_BYTES)
        if not data:
            raise ConnectionError(f"closed by the server, after {self._received!r}")
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator:
            return None
        _, _, length = head.lower().partition(b"content-length:")
        if len(body) < int(length.split(b"\r\n", 1)[0]):
            return None
        self._received = b""
        return int(head[9:12]), body

    def _send_more(self) -> bool:
        try:
            sent = self.socket.send(self._unsent)
        except BlockingIOError:
            sent = 0
        self._unsent = self._unsent[sent:]
        return bool(self._unsent)


class Load:
    """One task. The measured time starts after the warm-up; then the word `measuring` is written to stdout."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._requests = iter(
            Requests(
                task.token, task.orders, products=task.products, first=task.first, keys=task.keys, total=task.total
            )
        )
        self._poll = select.epoll()
        connections = [Connection(task.ports[n % len(task.ports)], self._poll) for n in range(task.connections)]
        self._by_fd = {connection.socket.fileno(): connection for connection in connections}
        self._idle = deque(connections)
        self._outcome = Outcome()
        self._statuses: Counter[int] = Counter()
        self._counts: Counter[str] = Counter()

    def run(self) -> Outcome:
        start_s = time.perf_counter()
        self._measure_from_s = start_s + self._task.warm_up_s
        self._until_s = self._measure_from_s + self._task.measure_s
        due = self._due(start_s)
        next_due_s = next(due)
        measuring = False
        while True:
            now_s = time.perf_counter()
            if not measuring and now_s >= self._measure_from_s:
                measuring = True
                _say("measuring")
                cpu_s = _cpu_s()
            while self._idle and next_due_s <= now_s and next_due_s < self._until_s:
                self._send(next_due_s if self._task.requests_per_s else now_s)
                next_due_s = next(due)
            if next_due_s >= self._until_s and (not self._in_flight() or now_s > self._until_s + self._task.give_up_s):
                break
            wait_s = next_due_s - now_s if self._idle and next_due_s < self._until_s else 0.05
            for fd, events in self._poll.poll(max(0.0, min(wait_s, 0.05))):
                self._receive(self._by_fd[fd], events)
            if not self._task.requests_per_s and time.perf_counter() >= self._until_s:
                break
        self._outcome.cpu_s = _cpu_s() - cpu_s
        self._outcome.seconds = self._task.measure_s
        self._outcome.statuses = {str(status): count for status, count in sorted(self._statuses.items())}
        self._outcome.counts = dict(self._counts)
        return self._outcome

    def _due(self, start_s: float) -> Iterator[float]:
        rng = random.Random(11)
        due_s = start_s
        while True:
            yield due_s
            if self._task.requests_per_s:
                due_s += rng.expovariate(self._task.requests_per_s)

    def _in_flight(self) -> int:
        return len(self._by_fd) - len(self._idle)

    def _send(self, since_s: float) -> None:
        if since_s >= self._measure_from_s:
            self._outcome.sent += 1
        self._idle.popleft().send(next(self._requests), since_s)

    def _receive(self, connection: Connection, events: int) -> None:
        answer = connection.on_event(events)
        if answer is None:
            return
        self._idle.append(connection)
        now_s = time.perf_counter()
        counted_s = connection.since_s if self._task.requests_per_s else now_s
        status, body = answer
        if status == 200:
            self._outcome.answered_orders += self._task.orders
        if not self._measure_from_s <= counted_s < self._until_s:
            return
        self._statuses[status] += 1
        if status == 200:
            self._outcome.latencies_ms.append((now_s - connection.since_s) * 1000)
            content = json.loads(body)
            for name in ("inserted", "updated", "skipped"):
                self._counts[name] += content[name]


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    _say(json.dumps(asdict(Load(Task(**json.load(sys.stdin))).run())))
