"""HTTP to the ingress: as a client library sends it, and as bytes on a socket."""

import http.client
import json
import socket
import ssl
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from deploy.local.ports import LOOPBACK
from support.documented import require_documented
from support.waiting import HANG_S

ORDERS_PATH = "/api/integration/orders"
TIMEOUT_S = HANG_S + 20
"""Longer than an ingress waits, so that its answer says what was missing."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def counts(self) -> tuple[int, int, int]:
        """(inserted, updated, skipped)"""
        assert self.status == 200, (self.status, self.body)
        return self.json["inserted"], self.json["updated"], self.json["skipped"]


class Connection:
    """A keep-alive connection of http.client."""

    def __init__(self, port: int, timeout_s: float = TIMEOUT_S, *, is_documented: bool = True) -> None:
        """`is_documented`: what answers is an ingress, and answers as the published document says."""
        self._is_documented = is_documented
        self._connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout_s)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        self._connection.request(method, path, body, headers or {})
        response = self._connection.getresponse()
        named = {name.lower(): value for name, value in response.getheaders()}
        answer = Answer(response.status, named, response.read())
        if self._is_documented:
            require_documented(method, path, answer.status, answer.headers, answer.body)
        return answer

    def post(self, token: str, orders: list[dict[str, Any]], **headers: str) -> Answer:
        """`headers` have underscores instead of dashes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", ORDERS_PATH, json.dumps({"data": orders}).encode(), {"token": token, **named})

    def close(self) -> None:
        self._connection.close()


def get(port: int, path: str, **headers: str) -> Answer:
    with closing(Connection(port)) as connection:
        return connection.request("GET", path, headers=headers)


def get_health(port: int, path: str) -> Answer:
    """From the health port of a consumer, which is no API."""
    with closing(Connection(port, is_documented=False)) as connection:
        return connection.request("GET", path)


def is_ready(port: int) -> bool:
    """Whether an ingress listens there and would serve a request."""
    try:
        return get(port, "/readyz").status == 200
    except OSError:
        return False


class RawConnection:
    """Bytes to the server, answers from it; knows only Content-Length, which all our answers have."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        """`context`: of TLS; None for plain HTTP."""
        self.socket = socket.create_connection((LOOPBACK, port), timeout=TIMEOUT_S)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_hostname=LOOPBACK)
        self._received = b""

    def __enter__(self) -> "RawConnection":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def shut_down(self) -> None:
        """Sends no more, and still reads. The method of an SSLSocket would read no more TLS."""
        socket.socket.shutdown(self.socket, socket.SHUT_WR)

    def read_answer(self) -> Answer:
        head = self.read_until(b"\r\n\r\n").decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        length = int(headers.get("content-length", 0))
        while len(self._received) < length:
            self._receive()
        body, self._received = self._received[:length], self._received[length:]
        return Answer(int(head[0].split()[1]), headers, body)

    def read_until(self, end: bytes) -> bytes:
        while end not in self._received:
            self._receive()
        found, _, self._received = self._received.partition(end)
        return found

    def at_end(self) -> bool:
        """Whether the server closed the connection; waits for that or for more bytes."""
        try:
            return not self._received and self.socket.recv(1) == b""
        except (ConnectionResetError, ssl.SSLEOFError):
            return True

    def _receive(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError(f"closed by the server, after {self._received!r}")
        self._received += data
