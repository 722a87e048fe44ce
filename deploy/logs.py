"""Logging of the processes: to stderr, one line for each event, without floods of the same line, and private."""

import logging
import re
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from deploy.traces import text_of, trace_of

QUIET_S = 10.0
KINDS_MAX = 1000
_NUMBERS = re.compile(r"\d+")
_log = logging.getLogger(__name__)


class Private(logging.Filter):
    """Errors in a line say what `traces.text_of` lets them say. psycopg logs the errors that it ignores, with rows."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.exc_text = None  # another handler may have written its own
        if isinstance(record.args, tuple):
            record.args = tuple(text_of(arg) if isinstance(arg, BaseException) else arg for arg in record.args)
        if record.name == "asyncio":
            # After that come the arguments of a callback, and the error of a task. The stack trace tells the rest.
            record.msg, record.args = re.split(r"[\n(]", record.getMessage())[0], None
        return True


class PrivateFormatter(logging.Formatter):
    """Stack traces without the texts that may quote data."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name is of the standard library
        """`ei`: (class, error, traceback)."""
        return "" if ei[1] is None else trace_of(ei[1])


class Throttle(logging.Filter):
    """Lets one line of a kind through every `QUIET_S`, with the number of those held back.

    Two lines that differ only in numbers are of one kind. librdkafka tries to connect many times a second and logs each
    failure.
    """

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock_s = clock_s
        self._held_back: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING or record.exc_info:
            return True
        kind = record.name, record.levelno, _NUMBERS.sub("#", record.getMessage())
        since_s, count = self._held_back.get(kind, (-QUIET_S, 0))
        if self._clock_s() - since_s < QUIET_S:
            self._held_back[kind] = since_s, count + 1
            return False
        if len(self._held_back) >= KINDS_MAX:
            self._held_back.clear()
        self._held_back[kind] = self._clock_s(), 0
        if count:
            record.msg, record.args = f"{record.getMessage()} ({count} more like this)", None
        return True


def make_private(handler: logging.Handler) -> logging.Handler:
    """Lets `handler` write what a log may hold."""
    handler.addFilter(Private())
    handler.setFormatter(PrivateFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    return handler


def log_to_stderr() -> None:
    """Of this whole process: threads that end with an error log it too, and what Python cannot raise."""
    handler = make_private(logging.StreamHandler(sys.stderr))
    handler.addFilter(Throttle())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    threading.excepthook = lambda ended: _log_error("a thread ended", ended.exc_value)
    sys.unraisablehook = lambda found: _log_error("an error that nobody could handle", found.exc_value)


def _log_error(what: str, error: BaseException | None) -> None:
    _log.error("%s", what, exc_info=error)
