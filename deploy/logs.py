"""Logging of the processes: to stderr, one line for each event, and without floods of the same line."""

import logging
import re
import sys
import time
from collections.abc import Callable

QUIET_S = 10.0
KINDS_MAX = 1000
_NUMBERS = re.compile(r"\d+")


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


def log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Throttle())
    logging.basicConfig(
        level=logging.INFO,
        handlers=[handler],
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        force=True,
    )
