"""Serving: signals, draining, and several processes on one port."""

import asyncio
import gc
import logging
import os
import signal
import socket
import subprocess
import sys
from threading import Event as Flag
from types import FrameType

import uvicorn

from contracts.errors import OrdersError
from contracts.ledger_reader import LedgerReader
from contracts.settings import PREFIX
from ingress.admission import Admission
from ingress.app import create_app
from ingress.protocol import BoundedHttpProtocol
from ingress.settings import IngressSettings

BACKLOG = 1024
GC_EVERY_OBJECTS = 50_000
"""A request of 500 orders makes some 10,000 objects and no cycles. With Python's own 700, a sixth of all time is spent
looking for some."""
KEEP_ALIVE_S = 75
_DRAIN_CHECK_S = 0.02
_WORKER_CHECK_S = 1.0
_log = logging.getLogger(__name__)


class ServeError(OrdersError):
    """The port cannot be listened on, or the process had to give up."""


def serve(settings: IngressSettings, ledger: LedgerReader) -> None:
    """Serves until SIGTERM or SIGINT. Raises ServeError."""
    listener = _listen(settings)
    if settings.workers > 1 and settings.listen_fd is None:
        Supervisor(settings.workers, listener).run()
        return
    gc.freeze()  # modules and classes stay: there is no point in walking them
    gc.set_threshold(GC_EVERY_OBJECTS)
    admission = Admission(settings.in_flight_orders_max, settings.in_flight_bytes_max)
    server = DrainingServer(admission, settings.supervisor_pid)
    server.config.app = create_app(settings, ledger, admission, server.give_up)
    _log.info("listening on %s:%d", *listener.getsockname()[:2])
    server.run([listener])
    if server.gave_up:
        raise ServeError("The Kafka producer could not go on; start this process again.")


class DrainingServer(uvicorn.Server):
    """On a signal it first refuses new requests with 503 and answers those in flight; only then it stops listening.

    uvicorn alone stops listening at once, and ends what takes too long with a 500.
    """

    def __init__(self, admission: Admission, supervisor_pid: int | None) -> None:
        super().__init__(
            uvicorn.Config(
                app="",  # set by the caller, who needs this server for it
                http=BoundedHttpProtocol,
                loop="uvloop",
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # nobody asks for the client's address
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=None,  # every request has its own deadline
                backlog=BACKLOG,
            )
        )
        self.gave_up = False
        self._admission = admission
        self._supervisor_pid = supervisor_pid
        self._drain: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._admission.draining = True

    def give_up(self) -> None:
        """Drains, and ends with an error."""
        self.gave_up = True
        self._admission.draining = True

    async def on_tick(self, counter: int) -> bool:
        if self._supervisor_pid is not None and os.getppid() != self._supervisor_pid:
            self._admission.draining = True  # nobody would start us again, or stop us
        if self._admission.draining and self._drain is None:
            _log.info("draining: %d requests in flight", self._admission.requests)
            self._drain = asyncio.create_task(self._drained())
        return await super().on_tick(counter)

    async def _drained(self) -> None:
        while self._admission.requests:
            await asyncio.sleep(_DRAIN_CHECK_S)
        self.should_exit = True


class Supervisor:
    """Several processes on one listening socket; one that dies is started again.

    They are started anew, not forked: clients of librdkafka do not survive a fork.
    """

    def __init__(self, workers: int, listener: socket.socket) -> None:
        self._listener = listener
        self._stop = Flag()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        self._workers = [self._start() for _ in range(workers)]

    def run(self) -> None:
        """Returns when it was told to stop and every worker has answered what it had in flight."""
        while not self._stop.wait(_WORKER_CHECK_S):
            for position, worker in enumerate(self._workers):
                if worker.poll() is not None:
                    _log.error("worker %d ended (%s), starting another", worker.pid, worker.returncode)
                    self._workers[position] = self._start()
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            worker.wait()

    def _start(self) -> "subprocess.Popen[bytes]":
        fd = self._listener.fileno()
        return subprocess.Popen(
            [sys.executable, "-m", "deploy", "ingress"],
            # Its pid, and not whoever is the parent when the worker is ready to ask: we may be dead by then.
            env={**os.environ, f"{PREFIX}LISTEN_FD": str(fd), f"{PREFIX}SUPERVISOR_PID": str(os.getpid())},
            pass_fds=[fd],
            start_new_session=True,  # a Ctrl-C reaches us alone, and we pass it on once
        )


def _listen(settings: IngressSettings) -> socket.socket:
    if settings.listen_fd is not None:
        return socket.socket(fileno=settings.listen_fd)
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ServeError(
            f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}.\nEnd what listens there, or choose "
            f"another address with {PREFIX}HOST and {PREFIX}PORT."
        ) from None
