"""What is accepted by the slice is what would be accepted one by one."""

from typing import Any

from confluent_kafka import KafkaError, Message
from hypothesis import example, given
from hypothesis import strategies as st

from consumer.core.record import Record
from consumer.errors import LogChangedError
from consumer.kafka.message import Taken, place_of, records_of
from consumer.kafka.positions import Positions
from contracts.event import UNFETCHABLE


def message(partition: int, offset: int, epoch: int | None = None) -> Message:
    about: dict[str, Any] = {} if epoch is None else {"leader_epoch": epoch}
    return Message(partition=partition, offset=offset, value=b"", **about)


def positions() -> Positions:
    """Partition 2 was assigned in the call that takes the messages. Partition 3 is not ours."""
    found = Positions("orders.upserts", lambda error, partition: None)
    found.set({0: 0, 1: 5, 2: 5})
    found.new.add(2)
    return found


PIECES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(1, 4), st.sampled_from([None, None, 1, 2])), max_size=8
)
"""Partition, first offset, number of messages, leader epoch."""


@given(PIECES)
@example([(2, 7, 1, None), (0, 0, 1, None), (2, 5, 1, None)])
def test_by_the_slice_or_one_by_one(pieces: list[tuple[int, int, int, int | None]]) -> None:
    messages = [
        message(partition, offset, epoch)
        for partition, first, count, epoch in pieces
        for offset in range(first, first + count)
    ]
    together, alone = positions(), positions()
    try:
        taken, starts, again = together.accept(messages)
    except LogChangedError:
        taken = None
    one_by_one: list[Taken] | None = []
    first_starts, all_again = dict[int, int](), dict[int, int]()
    try:
        accepted = [alone._accept_one(item, first_starts, all_again) for item in messages]
        one_by_one = [item for item in accepted if item is not None]
    except LogChangedError:
        one_by_one = None
    assert (taken is None) == (one_by_one is None)
    if taken is not None and one_by_one is not None:
        assert list(map(place_of, taken)) == list(map(place_of, one_by_one))
        assert (starts, again) == (first_starts, all_again)
        assert (together.offsets, together.new, together._epochs) == (alone.offsets, alone.new, alone._epochs)


def test_a_record_may_be_among_messages() -> None:
    """It stands for one that cannot be read."""
    unreadable = Record(0, 0, 0, None, None, ((UNFETCHABLE, b"_BAD_MSG"),))
    found = records_of([message(1, 5), unreadable])
    assert list(zip(found.partitions, found.offsets, strict=True)) == [(1, 5), (0, 0)]
    assert found.headers == [(), unreadable.headers]
    assert found.values == [b"", None]


def test_an_error_among_messages_is_reported_and_the_others_are_taken() -> None:
    reported: list[tuple[str, int | None]] = []
    accepting = Positions("orders.upserts", lambda error, partition: reported.append((error.name(), partition)))
    accepting.set({0: 0})
    failed = Message(partition=0, offset=1, error=KafkaError(KafkaError._TRANSPORT))
    taken, _, _ = accepting.accept([message(0, 0), failed, message(0, 1)])
    assert list(map(place_of, taken)) == [(0, 0, None), (0, 1, None)]
    assert reported == [("_TRANSPORT", 0)]


def test_the_end_of_a_partition_says_how_far_it_is_read_and_is_no_record() -> None:
    """Behind the last record are markers of transactions."""

    def end(partition: int, offset: int) -> Message:
        return Message(partition=partition, offset=offset, error=KafkaError(KafkaError._PARTITION_EOF))

    accepting = positions()
    taken, starts, again = accepting.accept(
        [message(0, 0), end(0, 3), message(1, 5), end(1, 6), message(1, 6), end(3, 9)]
    )
    assert list(map(place_of, taken)) == [(0, 0, None), (1, 5, None), (1, 6, None)]
    assert (starts, again) == ({0: 0, 1: 5}, {})
    assert accepting.offsets == {0: 1, 1: 7, 2: 5}
    assert accepting.read_to == {0: 3, 1: 5, 2: 5}
    _, _, again = accepting.accept([end(2, 8), message(2, 8)])
    assert again == {2: 5}  # it may be from before a revocation
    accepting.set({0: 0})
    assert accepting.read_to[0] == 0
