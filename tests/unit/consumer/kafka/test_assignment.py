"""What needs no broker: a leader epoch that goes back is another log."""

from threading import Event as Flag
from typing import Any

import pytest
from confluent_kafka import KafkaError, Message

from consumer.errors import LogChangedError
from consumer.kafka.assignment import Assignment
from consumer.kafka.message import place_of
from consumer.kafka.reading_errors import report
from consumer.metrics import ConsumerMetrics
from consumer.settings import ConsumerSettings

SETTINGS = ConsumerSettings(kafka_bootstrap="127.0.0.1:1", postgres_url="postgresql:///")


def message(offset: int, epoch: int | None) -> Message:
    about: dict[str, Any] = {} if epoch is None else {"leader_epoch": epoch}
    return Message(partition=3, offset=offset, key=b"k", value=b"", **about)


@pytest.fixture
def assigned() -> Assignment:
    assignment = Assignment(SETTINGS, lambda _: {}, Flag(), lambda: None, ConsumerMetrics())
    assignment._positions.set({3: 0})
    return assignment


def accept(assignment: Assignment, *messages: Message) -> list[int]:
    return [place_of(item)[1] for item in assignment._accept(list(messages))[0]]


def test_leader_epochs_that_go_on_are_one_log(assigned: Assignment) -> None:
    assert accept(assigned, message(0, 4), message(1, 4), message(2, None), message(3, 7)) == [0, 1, 2, 3]
    assert accept(assigned, message(4, 7)) == [4]


def test_a_leader_epoch_that_goes_back_is_another_log(assigned: Assignment) -> None:
    accept(assigned, message(0, 4))
    with pytest.raises(LogChangedError, match="leader epoch goes back from 4 to 3 at offset 1"):
        accept(assigned, message(1, 3))


def test_what_is_read_again_may_have_an_older_leader_epoch(assigned: Assignment) -> None:
    """As after a restore of Postgres, if another broker led the partition in between."""
    assigned._assign({3: 0})
    assert accept(assigned, message(0, 1), message(1, 4)) == [0, 1]
    assigned.rewind({3: 0})
    assert accept(assigned, message(0, 1), message(1, 4)) == [0, 1]


def test_an_error_among_the_messages_is_reported(assigned: Assignment) -> None:
    """An error of the client library raises if it is compared with None."""
    accept(assigned, message(0, 4))
    gone = Message(partition=3, offset=1, error=KafkaError(KafkaError._AUTO_OFFSET_RESET))
    with pytest.raises(LogChangedError, match="partition 3"):
        accept(assigned, gone)


def test_an_offset_that_is_gone_is_another_log() -> None:
    with pytest.raises(LogChangedError, match="partition 3"):
        report(KafkaError(KafkaError._AUTO_OFFSET_RESET), 3)
