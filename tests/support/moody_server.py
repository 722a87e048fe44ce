"""A server that answers a POST of orders as it is told, or not at all, and keeps what it was sent."""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from deploy.local.ports import LOOPBACK

COUNTS = {
    "message": "2 new records inserted. 0 existing records updated. Same value or invalid data skipped 0",
    "skipped": 0,
    "inserted": 2,
    "updated": 0,
}


@dataclass(frozen=True)
class Mood:
    """An answer; with `status` 0 the client gets none, and has to time out."""

    status: int
    body: dict[str, Any] = field(default_factory=lambda: {"error": "Not now."})
    retry_after_s: int | None = None


@dataclass(frozen=True)
class Received:
    """`answered_s`: when the answer was sent; `received_s`: when the request was read. Both of one clock."""

    headers: dict[str, str]  # names in lower case
    orders: Any
    status: int
    received_s: float
    answered_s: float


class MoodyServer:
    """It has one mood for each request, one after the other. Then it answers with COUNTS."""

    def __init__(self, moods: Sequence[Mood]) -> None:
        self.received: list[Received] = []
        self._moods = list(moods)
        self._lock = threading.Lock()
        self._ending = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                outer._post(self)

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://{LOOPBACK}:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator["MoodyServer"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self._ending.set()
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def _post(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        received_s = time.monotonic()
        with self._lock:
            mood = self._moods.pop(0) if self._moods else Mood(200, COUNTS)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.received.append(Received(headers, body, mood.status, received_s, time.monotonic()))
        if mood.status == 0:
            handler.close_connection = True
            self._ending.wait()
            return
        text = json.dumps(mood.body).encode()
        handler.send_response(mood.status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(text)))
        if mood.retry_after_s is not None:
            handler.send_header("Retry-After", str(mood.retry_after_s))
        handler.end_headers()
        handler.wfile.write(text)
