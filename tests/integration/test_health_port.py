"""The health port answers a supervisor at once, whatever other clients do to it."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from deploy.errors import HealthPortError
from deploy.health_port import CONNECTIONS_MAX, HEAD_BYTES_MAX, Page, health_port, json_page
from deploy.local.ports import LOOPBACK, free_port
from support.http import RawConnection, get_health


def broken() -> Page:
    raise RuntimeError("a page that fails")


@pytest.fixture
def port() -> Iterator[int]:
    found = free_port()
    pages = {"/healthz": lambda: json_page(200, {"status": "ok"}), "/no": lambda: json_page(503, {}), "/broken": broken}
    with health_port(LOOPBACK, found, pages):
        yield found


def test_a_page_is_answered_with_its_status(port: int) -> None:
    assert (get_health(port, "/healthz").status, get_health(port, "/healthz?now").json) == (200, {"status": "ok"})
    assert get_health(port, "/no").status == 503
    assert get_health(port, "/else").status == 404


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"POST /healthz HTTP/1.1\r\n\r\n", 405),
        (b"\x16\x03\x01 x\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 404),
        (b"GET /" + b"x" * HEAD_BYTES_MAX, 431),
    ],
)
def test_what_is_no_request_for_a_page_gets_an_error(port: int, request_bytes: bytes, status: int) -> None:
    with RawConnection(port) as connection:
        connection.send(request_bytes)
        assert connection.read_answer().status == status
        assert connection.at_end()


def test_a_head_that_comes_byte_by_byte_and_a_head_request(port: int) -> None:
    with RawConnection(port) as connection:
        for byte in b"HEAD /healthz HTTP/1.1\r\nhost: x\r\n\r\n":
            connection.send(bytes([byte]))
        assert connection.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK")
        assert connection.at_end()


def test_who_connects_and_says_nothing_keeps_nobody_out(port: int) -> None:
    with ExitStack() as silent:
        connections = [silent.enter_context(RawConnection(port)) for _ in range(3 * CONNECTIONS_MAX)]
        for connection in connections:
            connection.send(b"GET /healthz HTTP/1.1\r\n")
        assert get_health(port, "/healthz").status == 200
        assert connections[0].at_end()


def test_a_page_that_fails_ends_only_its_connection(port: int, caplog: pytest.LogCaptureFixture) -> None:
    with RawConnection(port) as connection:
        connection.send(b"GET /broken HTTP/1.1\r\n\r\n")
        assert connection.at_end()
    assert "a page that fails" in caplog.text
    assert get_health(port, "/healthz").status == 200


def test_at_the_end_nothing_listens_and_nobody_is_connected() -> None:
    port = free_port()
    with health_port(LOOPBACK, port, {}):
        connection = RawConnection(port)
        get_health(port, "/")  # so that the first one is accepted
    with connection:
        assert connection.at_end()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, port))


def test_without_a_port_nothing_listens() -> None:
    with health_port(LOOPBACK, None, {}):
        pass


def test_a_port_that_is_taken_is_told(port: int) -> None:
    with pytest.raises(HealthPortError, match="ORDERS_HEALTH_PORT"), health_port(LOOPBACK, port, {}):
        pass
