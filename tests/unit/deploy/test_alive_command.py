"""`orders alive`: what an image asks its process, on a port that says what a test wants."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from deploy.commands.alive import alive
from deploy.errors import NotAliveError
from deploy.local.ports import free_port


@contextmanager
def answering(status: int) -> Iterator[str]:
    """The port of a server that answers /healthz with `status`, and all else with 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield str(server.server_port)
        server.shutdown()
        thread.join()


def test_a_process_is_alive_if_one_of_its_two_ports_says_so() -> None:
    nobody = str(free_port())
    with answering(200) as port:
        alive({"ORDERS_HEALTH_PORT": nobody, "ORDERS_PORT": port, "ORDERS_HOST": "0.0.0.0"})
        alive({"ORDERS_HEALTH_PORT": port, "ORDERS_HEALTH_HOST": "127.0.0.1", "ORDERS_PORT": nobody})
        alive({"ORDERS_PORT": port})


def test_it_says_what_each_port_said() -> None:
    nobody = str(free_port())
    with answering(503) as port, pytest.raises(NotAliveError) as raised:
        alive({"ORDERS_HEALTH_PORT": port, "ORDERS_PORT": nobody})
    said = str(raised.value)
    assert said.startswith(f"127.0.0.1:{port} answered 503; 127.0.0.1:{nobody} does not answer (")
    with pytest.raises(NotAliveError, match="many does not answer"):
        alive({"ORDERS_PORT": "many"})
