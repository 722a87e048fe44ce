"""Whether orders that are taken in now can be applied, from what the broker and the tables say of the log. Pure."""

import logging

from contracts.log_identity import AppliedLog, FoundLog, what_differs, what_was_lost

_log = logging.getLogger(__name__)


class KnownLog:
    """The tables decide, as far as they were ever read. Else this process goes by what it has seen itself."""

    def __init__(self) -> None:
        self._applied: AppliedLog | None = None
        self._is_told = False
        self._seen: FoundLog | None = None
        self._said = ""

    def hear(self, applied: AppliedLog | None) -> None:
        """What the tables say now; None before the first start of a consumer."""
        self._applied = applied
        self._is_told = True

    def look(self, found: FoundLog) -> str:
        """Why no order can be applied; empty if they can. Logs what it finds, once."""
        lost = "" if self._seen is None else what_was_lost(self._seen, found)
        if self._is_told:
            why = "" if self._applied is None else what_differs(self._applied, found)
        else:
            why = f"{lost} When that is mended, start this process again." if lost else ""
        if why or not lost:
            self._say(f"No orders are taken in. {why}" if why else "")
        else:  # new orders can be applied, but some that are lost were perhaps not
            self._say("")
            _log.error("%s", lost)
        if self._is_told or not lost:
            self._seen = found
        return why

    def _say(self, text: str) -> None:
        if text and text != self._said:
            _log.error("%s", text)
        elif self._said and not text:
            _log.warning("The log fits the tables again. Orders are taken in.")
        self._said = text
