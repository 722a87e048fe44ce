"""What clients may do to a server on real sockets. The application is a small one, so no Kafka is needed."""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import Thread

import pytest
from starlette.types import Message, Receive, Scope, Send

from deploy.local.ports import LOOPBACK
from ingress import listener, protocol, reading, server
from ingress.admission import Admission
from ingress.connections import CONNECTION
from ingress.metrics import IngressMetrics
from ingress.protocol import HEADER_BYTES_MAX, HEADERS_MAX, PIPELINED_REQUESTS_MAX
from ingress.server import DrainingServer
from ingress.tls import Certificate
from support.http import RawConnection
from support.waiting import HANG_S, eventually

LARGE_BYTES = 8_000_000
"""More than the kernel takes for a client that does not read."""


@dataclass
class App:
    """`/wait` is answered when `released`; `/body` after its body; `/large` with LARGE_BYTES; all else at once."""

    released: bool = False
    paths: list[str] = field(default_factory=list)
    states: list[dict[str, object]] = field(default_factory=list)
    admission: Admission = field(default_factory=lambda: Admission(10, 10))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        self.paths.append(scope["path"])
        self.states.append(scope["state"])
        with self.admission.request():
            if scope["path"] == "/guess":
                scope["state"][CONNECTION].may_be_closed()
            while scope["path"] in ("/wait", "/guess") and not self.released:
                await asyncio.sleep(0.01)
            more = scope["path"] == "/body"
            while more:
                message = await receive()
                more = message.get("more_body", False)
        body = b"x" * (LARGE_BYTES if scope["path"] == "/large" else 2)
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _live(self, receive: Receive, send: Send) -> None:
        for state in ("startup", "shutdown"):
            message: Message = await receive()
            assert message["type"] == f"lifespan.{state}"
            await send({"type": f"lifespan.{state}.complete"})


@dataclass
class Served:
    app: App
    port: int
    server: DrainingServer
    thread: Thread
    context: ssl.SSLContext | None = None
    """Of clients, if they speak TLS."""

    def connect(self) -> RawConnection:
        return RawConnection(self.port, self.context)

    def stop(self) -> None:
        """As SIGTERM does it."""
        self.app.admission.draining = True
        self.thread.join(HANG_S)
        assert not self.thread.is_alive()

    @property
    def connections(self) -> int:
        return len(self.server._connections)


@contextmanager
def serving(
    *,
    connections_max: int = 100,
    keep_alive_s: float = 10 * HANG_S,
    listening: socket.socket | None = None,
    certificate: Certificate | None = None,
) -> Iterator[Served]:
    app = App()
    listening = listening or socket.create_server((LOOPBACK, 0))
    made = DrainingServer(
        app.admission, connections_max, drain_s=0.1, metrics=IngressMetrics(), certificate=certificate
    )
    made.config.app = app
    made.config.timeout_keep_alive = keep_alive_s  # type: ignore[assignment]
    served = Served(app, listening.getsockname()[1], made, Thread(target=made.run, args=([listening],)))
    served.thread.start()
    eventually(lambda: made.started)
    try:
        yield served
    finally:
        app.released = True
        served.stop()


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CLOSE_S", 0.1)


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as started:
        yield started


def head(path: str = "/", *lines: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode()


def flood(connection: RawConnection, data: bytes, other: RawConnection) -> None:
    """Sends until the server takes no more, though it has served another connection meanwhile."""
    connection.socket.setblocking(False)
    refused = 0
    while refused < 5:
        try:
            connection.socket.send(data)
            refused = 0
        except (BlockingIOError, ssl.SSLWantWriteError):
            refused += 1
        other.send(head())
        other.read_answer()
    connection.socket.settimeout(HANG_S)


def test_what_waits_on_a_connection_is_bounded_however_much_is_sent(served: Served) -> None:
    """120,000 requests without reading took 240 MB, and no signal ended the process."""
    with served.connect() as connection, served.connect() as other:
        connection.send(head("/wait"))
        eventually(lambda: served.app.paths)
        flood(connection, head() * 10_000, other)
        served.app.paths.clear()
        served.app.released = True
        answers = [connection.read_answer() for _ in range(1 + PIPELINED_REQUESTS_MAX)]
        assert [answer.headers.get("connection") for answer in answers] == [None] * PIPELINED_REQUESTS_MAX + ["close"]
        assert connection.at_end()
    assert len(served.app.paths) == PIPELINED_REQUESTS_MAX


def test_an_upgrade_in_every_request_is_no_deep_recursion(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    with served.connect() as connection:
        connection.send(head("/", "Connection: upgrade", "Upgrade: x") * 3_000)
        answers = [connection.read_answer() for _ in range(1 + PIPELINED_REQUESTS_MAX)]
        assert answers[-1].headers["connection"] == "close"
    assert not [record for record in caplog.records if record.exc_info]


def test_a_request_is_served_only_when_the_answer_before_it_is_read(served: Served) -> None:
    with served.connect() as connection, served.connect() as other:
        connection.send(head("/large") * 3)
        eventually(lambda: "/large" in served.app.paths)
        for _ in range(10):
            other.send(head())
            other.read_answer()
        assert served.app.paths.count("/large") == 1
        for _ in range(3):
            assert len(connection.read_answer().body) == LARGE_BYTES
        connection.send(head())
        assert connection.read_answer().body == b"xx"


def test_who_does_not_read_its_answer_is_cut_off(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PROGRESS_S", 0.05)
    with ExitStack() as connections:
        for lines in ((), ("Connection: close",)):
            connections.enter_context(served.connect()).send(head("/large", *lines))
        eventually(lambda: served.app.paths.count("/large") == 2)
        eventually(lambda: served.connections == 0)


@pytest.mark.parametrize("path", ["/large", "/body"])
def test_a_drain_ends_whatever_clients_do(served: Served, path: str) -> None:
    """One does not read its answer; the body of the other one never comes."""
    with served.connect() as connection:
        connection.send(head(path, "Content-Length: 9" if path == "/body" else "x: y"))
        eventually(lambda: served.app.paths == [path])
        served.stop()


def test_a_new_connection_takes_the_place_of_the_one_that_waits_longest(caplog: pytest.LogCaptureFixture) -> None:
    with serving(connections_max=10) as served, ExitStack() as open_:
        busy = open_.enter_context(served.connect())
        busy.send(head("/wait"))
        eventually(lambda: served.app.paths == ["/wait"])
        guesser = open_.enter_context(served.connect())
        guesser.send(head("/guess"))
        eventually(lambda: served.app.paths[1:] == ["/guess"])
        others = [open_.enter_context(served.connect()) for _ in range(30)]
        others[-1].send(head())
        assert others[-1].read_answer().body == b"xx"
        assert guesser.at_end()
        assert all(connection.at_end() for connection in others[:20])
        eventually(lambda: served.connections <= 10)
        served.app.released = True
        assert busy.read_answer().body == b"xx"
    assert [record.message for record in caplog.records if "to make room" in record.message] == [
        "connections closed to make room for others: 1"
    ]


class Exhausted(socket.socket):
    """Accepts nothing while no descriptor is left."""

    full = False
    failed = 0

    def accept(self) -> tuple[socket.socket, object]:
        if self.full:
            self.failed += 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


def test_without_file_descriptors_who_is_connected_is_served_and_nothing_spins(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    listening = Exhausted()
    listening.bind((LOOPBACK, 0))
    listening.listen()
    with serving(listening=listening) as served, served.connect() as idle, served.connect() as connection:
        for each in (idle, connection):
            each.send(head())
            assert each.read_answer().body == b"xx"
        listening.full = True
        with served.connect() as late:
            late.send(head())
            eventually(lambda: listening.failed)
            for _ in range(100):
                connection.send(head())
                assert connection.read_answer().body == b"xx"
            assert listening.failed <= 100  # it would be tried all the time
            assert idle.at_end()  # its descriptor is free now
            listening.full = False
            assert late.read_answer().body == b"xx"
    messages = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert messages.count("no file descriptor is left for a new connection; attempts: 1") == 1
    assert listener.ACCEPT_RETRY_S > 0


def test_line_feeds_do_not_keep_a_connection_open() -> None:
    with serving(keep_alive_s=0.2) as served, served.connect() as connection:
        connection.send(head())
        assert connection.read_answer().body == b"xx"
        connection.send(b"\r\n")
        assert connection.at_end()


@pytest.mark.parametrize(
    "lines", [["a: b"] * (HEADERS_MAX + 1), ["a: " + "b" * HEADER_BYTES_MAX]], ids=["many", "large"]
)
def test_a_head_is_bounded_also_if_it_comes_at_once(served: Served, lines: list[str]) -> None:
    with served.connect() as connection:
        connection.send(head("/", *lines))
        answer = connection.read_answer()
        assert (answer.status, answer.json["path"]) == (400, "")
        assert f"at most {HEADERS_MAX} headers and {HEADER_BYTES_MAX} bytes" in answer.json["error"]
        assert connection.at_end()
    assert served.app.paths == []


def test_a_body_of_too_many_chunks_is_refused(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "PIECES_MAX", 50)
    with served.connect() as connection:
        connection.send(head("/body", "Transfer-Encoding: chunked", method="POST") + b"1\r\nx\r\n" * 51)
        assert "at most 50 chunks" in connection.read_answer().json["error"]
        assert connection.at_end()


@pytest.mark.parametrize("end", ["broken", "closed"])
def test_what_is_wrong_behind_a_request_in_flight_does_not_take_its_answer(served: Served, end: str) -> None:
    """A 400 in its place would say that nothing of it was published."""
    with served.connect() as connection:
        behind = head("/body", "Transfer-Encoding: chunked", method="POST") + b"1\r\nx\r\n"
        connection.send(head("/wait") + behind + (b"not a chunk\r\n" if end == "broken" else b""))
        if end == "closed":
            connection.shut_down()
        eventually(lambda: served.app.paths == ["/wait"])
        served.app.released = True
        answer = connection.read_answer()
        assert (answer.status, answer.body) == (200, b"xx")
        assert connection.at_end()


@pytest.mark.parametrize("ends", ["the client hangs up", "to make room"])
def test_a_connection_that_ends_with_requests_in_flight_fills_no_log(
    ends: str, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(connections_max=1) as served:
        with served.connect() as connection:
            connection.send(head("/guess") * 3)
            eventually(lambda: served.app.paths == ["/guess"])
            if ends == "to make room":
                with served.connect() as other:
                    other.send(head())
                    other.read_answer()
                    assert connection.at_end()
        served.app.released = True
        eventually(lambda: served.connections == 0)
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []
