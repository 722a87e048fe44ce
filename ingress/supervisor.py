"""Several worker processes on one port."""

import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event as Flag

WORKER_COMMAND = [sys.executable, "-m", "deploy", "ingress"]
"""The command `orders ingress`. It is in `deploy`, which knows Postgres and so gives a worker its ledger."""
_WORKER_CHECK_S = 1.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Inherited:
    """What a worker gets from its supervisor. `listen_fd`: the listening socket that all workers share."""

    listen_fd: int
    supervisor_pid: int

    def options(self) -> list[str]:
        """Its values as hidden options of `orders ingress`."""
        return ["--listen-fd", str(self.listen_fd), "--supervisor-pid", str(self.supervisor_pid)]


class Supervisor:
    """Runs several workers on one listening socket. Replaces a worker that dies.

    Workers are new processes, not forks, because clients of librdkafka do not survive a fork. They read the same
    settings from the same environment.
    """

    def __init__(self, workers: int, listener: socket.socket, on_end: Callable[[int], None] = lambda _: None) -> None:
        """`on_end`: called with the pid of each worker that ended."""
        self._listener = listener
        self._on_end = on_end
        self._stop = Flag()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        self._workers = [self._start() for _ in range(workers)]

    def run(self) -> None:
        """Returns after SIGTERM or SIGINT, when every worker has answered its requests in flight and ended."""
        while not self._stop.wait(_WORKER_CHECK_S):
            for position, worker in enumerate(self._workers):
                if worker.poll() is not None:
                    _log.error("worker %d ended with exit code %s; starting another", worker.pid, worker.returncode)
                    self._on_end(worker.pid)
                    self._workers[position] = self._start()
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            worker.wait()

    def _start(self) -> "subprocess.Popen[bytes]":
        # The pid is passed on, because the supervisor may be dead before the worker asks for its parent.
        inherited = Inherited(self._listener.fileno(), os.getpid())
        return subprocess.Popen(
            [*WORKER_COMMAND, *inherited.options()],
            pass_fds=[inherited.listen_fd],
            start_new_session=True,  # Ctrl-C reaches the supervisor alone, which passes it on once
        )
