"""What needs no broker: a leader epoch that goes back is another log."""

from threading import Event as Flag
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError

from consumer.errors import LogChangedError
from consumer.kafka.assignment import Assignment, _report
from consumer.settings import ConsumerSettings

SETTINGS = ConsumerSettings(kafka_bootstrap="127.0.0.1:1", postgres_url="postgresql:///")


class Message:
    """As the client library gives it."""

    def __init__(self, offset: int, epoch: int | None) -> None:
        self._offset, self._epoch = offset, epoch

    def error(self) -> None:
        return None

    def partition(self) -> int:
        return 3

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return 2, 1_700_000_000_000

    def key(self) -> bytes:
        return b"k"

    def value(self) -> bytes:
        return b"v"

    def headers(self) -> list[tuple[str, bytes]]:
        return []

    def leader_epoch(self) -> int | None:
        return self._epoch


@pytest.fixture
def assigned() -> Assignment:
    assignment = Assignment(SETTINGS, lambda _: {}, Flag(), lambda: None)
    assignment._positions[3] = 0
    return assignment


def accept(assignment: Assignment, *messages: Message) -> list[int]:
    return [record.offset for record in assignment._accept(cast(Any, list(messages)))[0]]


def test_leader_epochs_that_go_on_are_one_log(assigned: Assignment) -> None:
    assert accept(assigned, Message(0, 4), Message(1, 4), Message(2, None), Message(3, 7)) == [0, 1, 2, 3]
    assert accept(assigned, Message(4, 7)) == [4]


def test_a_leader_epoch_that_goes_back_is_another_log(assigned: Assignment) -> None:
    accept(assigned, Message(0, 4))
    with pytest.raises(LogChangedError, match="leader epoch goes back from 4 to 3 at offset 1"):
        accept(assigned, Message(1, 3))


def test_what_is_read_again_may_have_an_older_leader_epoch(assigned: Assignment) -> None:
    """As after a restore of Postgres, if another broker led the partition in between."""
    assigned._assign({3: 0})
    assert accept(assigned, Message(0, 1), Message(1, 4)) == [0, 1]
    assigned.rewind({3: 0})
    assert accept(assigned, Message(0, 1), Message(1, 4)) == [0, 1]


def test_an_offset_that_is_gone_is_another_log() -> None:
    with pytest.raises(LogChangedError, match="partition 3"):
        _report(KafkaError(KafkaError._AUTO_OFFSET_RESET), 3)
