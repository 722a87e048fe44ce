"""When an ingress is ready, from what a broker and the tables tell its watch. The broker here is a stand-in of ours."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from typing import cast

import pytest

from contracts.access import Rights
from contracts.ledger_reader import LedgerUnavailableError
from contracts.log_identity import AppliedLog, FoundLog
from contracts.topic_checks import Problem, Told
from contracts.topic_spec import TopicFound
from ingress import topic_watch
from ingress.broker import Broker
from ingress.topic_watch import TopicWatch
from support.waiting import eventually

LOG = FoundLog("t", "a", {0: (0, 10)})
APPLIED = AppliedLog("t", "a", {0: 10})


class TellingBroker:
    """`log`: None while it does not tell where partitions end."""

    def __init__(self) -> None:
        self.log: FoundLog | None = None
        self.looks = 0

    def check(self, _: Rights) -> tuple[list[Problem], Told]:
        return [], {"t": TopicFound("a", 12, 1)}

    def find_log(self, topic: str, topic_id: str) -> FoundLog | None:
        assert (topic, topic_id) == ("t", "a")
        self.looks += 1
        return self.log

    def stop(self) -> None: ...


class Watched:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.broker = TellingBroker()
        self.applied: AppliedLog | None = APPLIED
        self.is_down = False
        self.watch = TopicWatch(
            cast(Broker, self.broker), {}, "t", self.read_applied, loop, lambda _: None, lambda _: None
        )

    def is_right(self) -> bool:
        return self.watch.right

    def read_applied(self) -> AppliedLog | None:
        if self.is_down:
            raise LedgerUnavailableError("down")
        return self.applied

    def look_twice(self) -> None:
        """The second look began after the call."""
        until = self.broker.looks + 2
        self.watch.recheck()
        eventually(lambda: self.broker.looks >= until)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    monkeypatch.setattr(topic_watch, "CHECK_EVERY_S", 0.01)
    monkeypatch.setattr(topic_watch, "RECHECK_S", 0.01)
    with closing(asyncio.new_event_loop()) as loop:
        watched = Watched(loop)
        yield watched
        watched.watch.stop()


def test_it_is_right_only_after_a_look_at_the_log(watched: Watched) -> None:
    watched.look_twice()
    assert not watched.is_right()
    watched.broker.log = LOG
    eventually(watched.is_right)


def test_after_an_outage_it_is_right_only_after_another_look(watched: Watched) -> None:
    """Kafka may have been put back while no broker could be reached."""
    watched.broker.log = LOG
    eventually(watched.is_right)
    watched.broker.log = None
    watched.look_twice()
    assert watched.is_right(), "a broker that does not answer says nothing new"
    watched.watch.doubt()
    watched.look_twice()
    assert not watched.is_right()
    watched.broker.log = LOG
    eventually(watched.is_right)


def test_what_the_tables_said_counts_while_they_say_nothing(watched: Watched) -> None:
    watched.broker.log = LOG
    eventually(watched.is_right)
    assert not watched.watch.log_changed
    watched.is_down = True
    watched.look_twice()
    watched.broker.log = FoundLog("t", "a", {0: (0, 9)})
    eventually(lambda: watched.watch.log_changed)
    watched.is_down, watched.applied = False, AppliedLog("t", "a", {0: 9})
    eventually(lambda: not watched.watch.log_changed)
