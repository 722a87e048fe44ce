"""Looks after the topics while the ingress runs: are they what they must be, and still the same ones?"""

import logging
from asyncio import AbstractEventLoop
from collections.abc import Callable
from threading import Event as Flag
from threading import Thread

from contracts.access import Rights
from contracts.ledger_reader import LedgerUnavailableError
from contracts.log_identity import AppliedLog
from contracts.topic_checks import Refusal, Trouble, of_trouble
from contracts.topic_spec import TopicFound
from ingress.broker import Broker
from ingress.known_log import KnownLog

CHECK_EVERY_S = 5.0
"""While all is well. What is wrong is looked at each second, so that the ingress is ready soon after it is mended."""
RECHECK_S = 1.0
_log = logging.getLogger(__name__)


class TopicWatch:
    """A thread that asks the broker. `right`: the topics are what they must be, and this user has its rights.

    `log_changed`: why no order can be applied, because orders.upserts is not the log that the tables were filled from;
    empty if it is. `read_applied` is called in the thread, and raises LedgerUnavailableError.

    Calls `on_fatal(why)` on the loop if the broker refuses this user, or a right is missing, at the start. Calls
    `on_replaced(topic)` in its own thread if a topic was deleted and made again.
    """

    def __init__(
        self,
        broker: Broker,
        rights: Rights,
        upserts: str,
        read_applied: Callable[[], AppliedLog | None],
        loop: AbstractEventLoop,
        on_fatal: Callable[[str], None],
        on_replaced: Callable[[str], None],
    ) -> None:
        self.right = False
        self.log_changed = ""
        self._upserts = upserts
        self._read_applied = read_applied
        self._known_log = KnownLog()
        self._unread = ""
        self._doubts = 0
        self._broker = broker
        self._rights = rights
        self._loop = loop
        self._on_fatal = on_fatal
        self._on_replaced = on_replaced
        self._was_right = False
        self._told = ""
        self._topic_ids: dict[str, str] = {}
        self._stop = Flag()
        self._wake = Flag()
        self._thread = Thread(target=self._run, name="topics", daemon=True)
        self._thread.start()

    def recheck(self) -> None:
        """Soon, because something went wrong."""
        self._wake.set()

    def doubt(self) -> None:
        """No broker could be reached: Kafka may be put back meanwhile. Not right until a look has shown that it is."""
        self._doubts += 1
        self.right = False
        self._wake.set()

    def stop(self) -> None:
        self._stop.set()
        self._broker.stop()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._check()
                self._wake.wait(CHECK_EVERY_S if self.right and not self.log_changed else RECHECK_S)
                self._wake.clear()
        except Exception as error:  # noqa: BLE001 - whatever ends a thread ends the process
            _log.error("the thread that checks the topics ended", exc_info=True)
            self._loop.call_soon_threadsafe(self._on_fatal, f"The topics could not be checked any more: {error!r}")

    def _check(self) -> None:
        doubts = self._doubts
        self._hear()  # first: the fence that was read lies inside any log that is read later
        found, told = self._broker.check(self._rights)
        if self._stop.is_set():
            return
        wrong = of_trouble(found, Trouble.ABSENT, Trouble.FORBIDDEN, Trouble.WRONG)
        text = wrong or of_trouble(found, Trouble.UNANSWERED)
        if text != self._told:
            self._told = text
            for line in text.splitlines():
                _log.error("not ready: %s", line)
        forbidden = of_trouble(found, Trouble.FORBIDDEN)
        if forbidden and not self._was_right:
            self._loop.call_soon_threadsafe(self._on_fatal, forbidden)
        for topic, about in told.items():
            if isinstance(about, TopicFound) and self._topic_ids.setdefault(topic, about.topic_id) != about.topic_id:
                _log.error("the topic %s was deleted and made again", topic)
                self._topic_ids[topic] = about.topic_id
                self._on_replaced(topic)
        if wrong:
            self.right = False
        elif not found and self._look(told[self._upserts]):  # in an outage nothing new is known
            self.right, self._was_right = doubts == self._doubts, True

    def _hear(self) -> None:
        """Without an answer, what the tables said before counts."""
        try:
            self._known_log.hear(self._read_applied())
            self._unread = ""
        except LedgerUnavailableError as error:
            if str(error) != self._unread:
                self._unread = str(error)
                _log.warning("it is not known how far orders are applied: %s", error)

    def _look(self, upserts: TopicFound | Refusal) -> bool:
        """Whether the broker told enough."""
        log = self._broker.find_log(self._upserts, upserts.topic_id) if isinstance(upserts, TopicFound) else None
        if log is None:
            return False
        self.log_changed = self._known_log.look(log)
        return True
