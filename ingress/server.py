"""Serving: signals and draining."""

import asyncio
import contextlib
import gc
import logging
import os
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from contracts.access import rights_of_ingress
from contracts.errors import OrdersError
from contracts.ledger_reader import LedgerReader
from contracts.settings import PREFIX
from contracts.topic_checks import Trouble, of_trouble
from ingress.admission import REQUESTS_MAX, Admission
from ingress.broker import Broker
from ingress.connections import Connections, connections_max
from ingress.listener import Listener
from ingress.metrics import IngressMetrics
from ingress.protocol import BoundedHttpProtocol
from ingress.routes import create_app
from ingress.seldom import SeldomLog
from ingress.settings import IngressSettings
from ingress.supervisor import Inherited, Supervisor
from ingress.tls import Certificate
from ingress.tls_connection import Handshakes, TlsConnection

BACKLOG = 1024
GC_EVERY_OBJECTS = 50_000
"""A request of 500 orders makes some 10,000 objects and no cycles. With Python's own 700, the search for cycles takes a
sixth of all time."""
KEEP_ALIVE_S = 75
DRAIN_S = 2.0
"""After the time-out of a request, how long a drain waits for the requests in flight."""
CLOSE_S = 2.0
"""After that, how long it waits for clients to read their answers."""
_DRAIN_CHECK_S = 0.02
_log = logging.getLogger(__name__)


class ServeError(OrdersError):
    """The process cannot listen on its port, or a part of it cannot go on."""


def serve(
    settings: IngressSettings,
    ledger: LedgerReader,
    inherited: Inherited | None = None,
    metrics: IngressMetrics | None = None,
    on_worker_end: Callable[[int], None] = lambda _: None,
) -> None:
    """Serves until SIGTERM or SIGINT: as a worker of a supervisor if `inherited` is given.

    `on_worker_end`: called with the pid of each worker that ended. Raises ServeError and CertificateError.
    """
    certificate = _certificate_of(settings)
    listener = _listen(settings.host, settings.port) if inherited is None else socket.socket(fileno=inherited.listen_fd)
    if settings.workers > 1 and inherited is None:
        _require_access(settings)
        Supervisor(settings.workers, listener, on_worker_end).run()
        return
    gc.freeze()  # modules and classes stay: walking them gains nothing
    gc.set_threshold(GC_EVERY_OBJECTS)
    most = connections_max()
    requests_max = min(REQUESTS_MAX, most * 9 // 10)  # the others may be closed to make room
    admission = Admission(settings.in_flight_orders_max, settings.in_flight_bytes_max, requests_max)
    supervisor_pid = None if inherited is None else inherited.supervisor_pid
    metrics = metrics or IngressMetrics()
    server = DrainingServer(admission, most, settings.request_timeout_s + DRAIN_S, metrics, supervisor_pid, certificate)
    server.config.app = create_app(settings, ledger, admission, server.give_up, metrics)
    scheme = "http" if certificate is None else "https"
    _log.info("listening on %s://%s:%d", scheme, *listener.getsockname()[:2])
    server.run([listener])
    if server.gave_up is not None:
        raise ServeError(server.gave_up)


class DrainingServer(uvicorn.Server):
    """On a signal it refuses new requests with 503 and answers those in flight. Only then it stops listening.

    uvicorn by itself stops listening at once, and ends requests that take too long with a 500. `drain_s`: how long
    requests may take to be answered then. What is not answered or not read by then is cut off.
    """

    def __init__(
        self,
        admission: Admission,
        connections_max: int,
        drain_s: float,
        metrics: IngressMetrics,
        supervisor_pid: int | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app="",  # the caller sets it, because the app needs this server
                loop="uvloop",
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # nothing uses the client's address
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=None,  # `drain_s` and CLOSE_S end it
            )
        )
        self.gave_up: str | None = None
        self._metrics = metrics
        self._admission = admission
        self._connections_max = connections_max
        self._drain_s = drain_s
        self._certificate = certificate
        self._supervisor_pid = supervisor_pid
        self._drain: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._admission.draining = True

    def give_up(self, why: str) -> None:
        """Drains, and ends with an error. The first reason counts."""
        if self.gave_up is None:
            self.gave_up = why
            _log.error("giving up: %s", why)
        self._admission.draining = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([])  # it starts the application, and listens to nothing
        loop = asyncio.get_running_loop()
        full = SeldomLog(_log, "connections closed to make room for others: %d", loop)
        failed = SeldomLog(_log, "no file descriptor is left for a new connection; attempts: %d", loop)
        self._connections = connections = Connections(self._connections_max, full.add)

        def make_protocol() -> BoundedHttpProtocol:
            return BoundedHttpProtocol(
                connections, config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )

        handshakes = Handshakes()

        def make_connection() -> asyncio.Protocol:
            if self._certificate is None:
                return make_protocol()
            return TlsConnection(self._certificate.context(), make_protocol, handshakes, loop)

        def on_failure() -> None:
            failed.add()
            connections.close_one()

        self._listeners = [Listener(listening, make_connection, on_failure, loop) for listening in sockets or ()]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in self._listeners:
            listener.stop()
        cut = asyncio.get_running_loop().call_later(CLOSE_S, self._connections.abort_all)
        await super().shutdown(sockets)
        cut.cancel()

    async def on_tick(self, counter: int) -> bool:
        if self._supervisor_pid is not None and os.getppid() != self._supervisor_pid:
            self._admission.draining = True  # without a supervisor, nothing restarts or stops this worker
        if self._admission.draining and self._drain is None:
            _log.info("draining: %d requests in flight", self._admission.requests)
            self._drain = asyncio.create_task(self._drained())
        self._metrics.flush(self._admission)
        return await super().on_tick(counter)

    async def _drained(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._drain_s):
                while self._admission.requests:
                    await asyncio.sleep(_DRAIN_CHECK_S)
        self.should_exit = True


def _require_access(settings: IngressSettings) -> None:
    """Raises ServeError if every worker would end with it: the broker refuses this user, or a right is missing."""
    found, _ = Broker(settings).check(rights_of_ingress(settings.topics))
    forbidden = of_trouble(found, Trouble.FORBIDDEN)
    if forbidden:
        raise ServeError(forbidden)


def _certificate_of(settings: IngressSettings) -> Certificate | None:
    """Raises ServeError if settings of TLS are given without a certificate, and CertificateError."""
    if settings.tls_cert is not None:
        return Certificate(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
    if settings.tls_key is not None or settings.tls_client_ca is not None:
        raise ServeError(f"{PREFIX}TLS_CERT is not set, but other settings of TLS are. Set it, or none of them.")
    return None


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ServeError(
            f"Cannot listen on {host}:{port}: {error.strerror}.\nStop the program that listens there, or choose "
            f"another address with {PREFIX}HOST and {PREFIX}PORT."
        ) from None
