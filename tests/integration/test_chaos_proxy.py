"""The proxy of the chaos suite, with a server that sends back what it gets."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from chaos.cluster import stable_port
from chaos.proxy import CUT, OPEN, STALL, TRICKLE, Proxy
from deploy.local.ports import LOOPBACK
from support.waiting import HANG_S

PATIENCE_S = 0.3


@pytest.fixture
def link() -> Iterator[tuple[Proxy, int]]:
    """A proxy before an echo server, and its port."""
    with socket.create_server((LOOPBACK, 0)) as server, closing(Proxy()) as proxy:
        threading.Thread(target=echo, args=[server], daemon=True).start()
        port = stable_port()
        proxy.add("link", port, server.getsockname()[1])
        yield proxy, port
        server.shutdown(socket.SHUT_RDWR)


def echo(server: socket.socket) -> None:
    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65536):
                    connection.sendall(data)
            except ConnectionError:
                return

    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=serve, args=[connection], daemon=True).start()


def connect(port: int) -> socket.socket:
    return socket.create_connection((LOOPBACK, port), timeout=HANG_S)


def is_broken(connection: socket.socket) -> bool:
    try:
        connection.sendall(b"x")
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_bytes_and_the_end_of_bytes_pass(link: tuple[Proxy, int]) -> None:
    with connect(link[1]) as connection:
        connection.sendall(b"x" * 1_000_000)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while data := connection.recv(65536):
            received += data
    assert received == b"x" * 1_000_000


def test_a_cut_breaks_what_there_is_and_what_comes(link: tuple[Proxy, int]) -> None:
    proxy, port = link
    with connect(port) as connection:
        connection.sendall(b"1")
        assert connection.recv(1) == b"1"
        proxy.set_mode("link", CUT)
        assert is_broken(connection)
    with connect(port) as connection:
        assert is_broken(connection)
    proxy.set_mode("link", OPEN)
    with connect(port) as connection:
        assert not is_broken(connection)


def test_what_was_stalled_passes_later(link: tuple[Proxy, int]) -> None:
    proxy, port = link
    with connect(port) as connection:
        proxy.set_mode("link", STALL)
        connection.sendall(b"late")
        connection.settimeout(PATIENCE_S)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        proxy.heal()
        connection.settimeout(HANG_S)
        assert connection.recv(4) == b"late"


def test_a_trickle_is_slow_and_loses_nothing(link: tuple[Proxy, int]) -> None:
    proxy, port = link
    sent = bytes(range(256)) * 16
    with connect(port) as connection:
        proxy.set_mode("link", TRICKLE)
        connection.sendall(sent)
        received = connection.recv(len(sent))
        assert 0 < len(received) < len(sent)
        while len(received) < len(sent):
            received += connection.recv(len(sent))
    assert received == sent


def test_a_server_that_is_not_there_is_a_broken_connection(link: tuple[Proxy, int]) -> None:
    proxy, _ = link
    other = stable_port()
    proxy.add("nobody", other, stable_port())
    with connect(other) as connection:
        assert is_broken(connection)
