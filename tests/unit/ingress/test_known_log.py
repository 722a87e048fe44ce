"""Whether an ingress takes orders in, after any looks at the log and at the tables."""

import logging

import pytest

from contracts.log_identity import CLOSED, AppliedLog, FoundLog
from ingress.known_log import KnownLog


def found(end: int = 10, topic_id: str = "a", first: int = 0) -> FoundLog:
    return FoundLog("t", topic_id, {0: (0, 5), 1: (first, end)})


def applied(next_offset: int = 10, topic_id: str = "a", topic: str = "t") -> AppliedLog:
    return AppliedLog(topic, topic_id, {0: 5, 1: next_offset})


def test_a_log_that_has_what_was_applied_is_right() -> None:
    log = KnownLog()
    for tables, now in ((None, found()), (applied(), found()), (applied(3), found()), (applied(), found(11))):
        log.hear(tables)
        assert log.look(now) == ""


@pytest.mark.parametrize(
    ("tables", "now", "said"),
    [
        (applied(), found(9), "Kafka lost the 1 records from offset 9 on"),
        (applied(3), found(first=4), "were removed before they were applied"),
        (applied(), found(topic_id="b"), "deleted and created again"),
        (applied(topic="u"), found(), "belongs to another installation"),
        (applied(CLOSED), found(), "being reseeded"),
        (AppliedLog("t", "a", {0: 5}), found(), "no row of the partitions [1]"),
        (AppliedLog("t", "a", {}), found(), "orders setup"),
    ],
)
def test_an_ingress_that_was_just_started_asks_the_tables(tables: AppliedLog, now: FoundLog, said: str) -> None:
    log = KnownLog()
    log.hear(tables)
    assert said in log.look(now)
    assert said in log.look(now), "as long as nobody mends it, and also if the tables are not heard again"
    log.hear(None)
    assert log.look(now) == ""


def test_what_is_found_is_logged_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    log = KnownLog()
    log.hear(applied())
    for end in (9, 9, 9, 10, 10):
        log.look(found(end))
    levels = [record.levelno for record in caplog.records]
    assert levels == [logging.ERROR, logging.WARNING]
    assert "orders reseed" in caplog.messages[0]


def test_lost_records_that_were_not_applied_are_told_and_new_orders_are_taken(caplog: pytest.LogCaptureFixture) -> None:
    log = KnownLog()
    log.hear(applied(3))
    assert log.look(found(10)) == ""
    assert log.look(found(4)) == ""
    assert log.look(found(4)) == ""
    assert ["ended at offset 10 and ends at offset 4" in message for message in caplog.messages] == [True]


@pytest.mark.parametrize("lost", [found(9), found(20, "b")], ids=["cut", "made again"])
def test_without_the_tables_an_ingress_goes_by_what_it_has_seen(lost: FoundLog) -> None:
    log = KnownLog()
    assert log.look(found()) == ""
    assert "start this process again" in log.look(lost)
    assert log.look(lost)
    assert log.look(found(11)) == "", "the right copy was put back"
    assert log.look(lost)
    log.hear(applied(5, lost.topic_id))
    assert log.look(lost) == "", "the tables know better"
