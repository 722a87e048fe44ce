"""Looks after the topics while the ingress runs: are they what they must be, and still the same ones?"""

import logging
from asyncio import AbstractEventLoop
from collections.abc import Callable
from threading import Event as Flag
from threading import Thread

from contracts.access import Rights
from contracts.topic_checks import Trouble, of_trouble
from contracts.topic_spec import TopicFound
from ingress.broker import Broker

CHECK_EVERY_S = 5.0
"""While all is well. What is wrong is looked at each second, so that the ingress is ready soon after it is mended."""
RECHECK_S = 1.0
_log = logging.getLogger(__name__)


class TopicWatch:
    """A thread that asks the broker. `right`: the topics are what they must be, and this user has its rights.

    Calls `on_fatal(why)` on the loop if the broker refuses this user, or a right is missing, at the start. Calls
    `on_replaced(topic)` in its own thread if a topic was deleted and made again.
    """

    def __init__(
        self,
        broker: Broker,
        rights: Rights,
        loop: AbstractEventLoop,
        on_fatal: Callable[[str], None],
        on_replaced: Callable[[str], None],
    ) -> None:
        self.right = False
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

    def stop(self) -> None:
        self._stop.set()
        self._broker.stop()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._check()
                self._wake.wait(CHECK_EVERY_S if self.right else RECHECK_S)
                self._wake.clear()
        except Exception as error:  # noqa: BLE001 - whatever ends a thread ends the process
            _log.error("the thread that checks the topics ended", exc_info=True)
            self._loop.call_soon_threadsafe(self._on_fatal, f"The topics could not be checked any more: {error!r}")

    def _check(self) -> None:
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
        if wrong or not found:  # in an outage nothing new is known
            self.right = not wrong
            self._was_right |= self.right
