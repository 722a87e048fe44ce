"""Logs what anybody can cause as often as they like, without filling the log."""

import logging
from asyncio import AbstractEventLoop, TimerHandle

LOG_EVERY_S = 60.0


class SeldomLog:
    """One line at once, and then at most one every LOG_EVERY_S, with the count since the last one.

    `text` has a %d for that count. Used on the event loop only.
    """

    def __init__(self, log: logging.Logger, text: str, loop: AbstractEventLoop) -> None:
        self._log = log
        self._text = text
        self._loop = loop
        self._count = 0
        self._timer: TimerHandle | None = None

    def add(self) -> None:
        self._count += 1
        if self._timer is None:
            self._write()

    def _write(self) -> None:
        self._timer = None
        if self._count:
            self._log.warning(self._text, self._count)
            self._count = 0
            self._timer = self._loop.call_later(LOG_EVERY_S, self._write)
