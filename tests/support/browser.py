"""Chromium without a window, driven over a pipe in its DevTools protocol: what a page asks for, says, and shows."""

import base64
import fcntl
import itertools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from support.waiting import HANG_S, eventually

PROGRAM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
_FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",  # tests run as root in CI; the pages are our own
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-proxy-server",
)


class PageError(Exception):
    """What a script in the page raised."""


class Page:
    """One page. `requests`: each URL that it asked for. `problems`: errors in its console, its log, and violations."""

    def __init__(self, pipe: "_Pipe", session: str) -> None:
        self._pipe = pipe
        self._session = session
        self.requests: list[str] = []
        self.problems: list[str] = []

    def size(self, width_px: int, height_px: int, dark: bool = False) -> None:
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width_px, height=height_px, deviceScaleFactor=1, mobile=False
        )
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[feature])

    def open(self, url: str) -> None:
        """Returns as soon as the page is asked for; wait for what it shows with `wait_for`."""
        self.send("Page.navigate", url=url)

    def wait_for(self, condition: str, timeout_s: float = HANG_S) -> Any:
        """The first true value of a JavaScript expression."""
        return eventually(lambda: self.run(condition), timeout_s, not_yet=(PageError,))

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression. Raises PageError if it throws."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise PageError(answer["exceptionDetails"].get("exception", {}).get("description", "?"))
        return answer["result"].get("value")

    def key(self, name: str, code: int, text: str = "") -> None:
        """Presses and releases a key."""
        named = {"key": name, "code": name, "windowsVirtualKeyCode": code}
        self.send("Input.dispatchKeyEvent", type="keyDown", text=text, **named)
        self.send("Input.dispatchKeyEvent", type="keyUp", **named)

    def type(self, text: str) -> None:
        self.send("Input.insertText", text=text)

    def screenshot(self, file: Path) -> None:
        file.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._pipe.send(method, parameters, self._session, self)
        return answer

    def on_event(self, event: dict[str, Any]) -> None:
        method, parameters = event["method"], event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "assert"):
            shown = [str(argument.get("value", argument.get("description"))) for argument in parameters["args"]]
            self.problems.append(" ".join(shown))
        elif method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.problems.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}".strip())


class _Pipe:
    """Messages are JSON with a NUL at their end."""

    def __init__(self, write_fd: int, read_fd: int) -> None:
        self._out, self._in = write_fd, read_fd
        self._ids = itertools.count(1)
        self._received = b""

    def send(
        self, method: str, parameters: dict[str, Any], session: str | None = None, page: Page | None = None
    ) -> Any:
        number = next(self._ids)
        message = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]
        while True:
            answer = self._next()
            if answer.get("id") == number:
                if "error" in answer:
                    raise PageError(f"{method}: {answer['error']}")
                return answer["result"]
            if page is not None and "method" in answer:
                page.on_event(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            data = os.read(self._in, 1 << 20)
            if not data:
                raise PageError("Chromium has ended.")
            self._received += data
        message, _, self._received = self._received.partition(b"\0")
        decoded: dict[str, Any] = json.loads(message)
        return decoded


@contextmanager
def chromium() -> Iterator[Page]:
    """A page in a browser of its own, with an empty profile."""
    assert PROGRAM is not None
    (read_by_it, written_by_us), (read_by_us, written_by_it) = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(prefix="orders-chromium-", ignore_cleanup_errors=True) as profile:
        # Chromium reads from 3 and writes to 4. Numbers above 9 are not in the way, and bash knows them.
        its_ends = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (read_by_it, written_by_it)]
        shell = f'exec "$0" "$@" 3<&{its_ends[0]} 4>&{its_ends[1]}'
        process = subprocess.Popen(
            ["bash", "-c", shell, PROGRAM, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=its_ends,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for fd in (read_by_it, written_by_it, *its_ends):
            os.close(fd)
        try:
            pipe = _Pipe(written_by_us, read_by_us)
            target = pipe.send("Target.createTarget", {"url": "about:blank"})["targetId"]
            session = pipe.send("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
            page = Page(pipe, session)
            for domain in ("Page", "Runtime", "Network", "Log"):
                page.send(f"{domain}.enable")
            yield page
            with suppress(PageError):
                pipe.send("Browser.close", {})
        finally:
            os.close(written_by_us)
            os.close(read_by_us)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
