from collections.abc import Collection
from typing import cast

import pytest

from consumer.kafka.topic_reader import TopicReader
from contracts.partitioner import partition_of
from deploy.letter_selection import Filters

END = 100


class Reader:
    """Each partition has the records 10 to 99."""

    def bounds(self, partitions: Collection[int]) -> tuple[dict[int, int], dict[int, int]]:
        return dict.fromkeys(partitions, 10), dict.fromkeys(partitions, END)


def starts_of(filters: Filters) -> dict[int, int]:
    starts, ends = filters.bounds(cast(TopicReader, Reader()))
    assert ends == dict.fromkeys(starts, END)
    return starts


def test_of_a_few_letters_only_their_partitions_are_read_and_only_from_them_on() -> None:
    assert starts_of(Filters(frozenset({"3:70", "3:9", "3:20", "5:40"}))) == {3: 10, 5: 40}
    assert starts_of(Filters(frozenset({"3:70", "3:20"}))) == {3: 20}
    assert starts_of(Filters(frozenset({"3:9999"}))) == {3: END}


def test_of_an_order_only_its_partition_is_read() -> None:
    assert starts_of(Filters(order="O-1")) == {partition_of(b"O-1", 12): 10}


@pytest.mark.parametrize(
    "filters",
    [
        Filters(),
        Filters(partner="p"),
        Filters(frozenset({"no id", "77:1"})),
        Filters(order="\ufffd"),
        Filters(order=""),
    ],
)
def test_all_others_may_be_anywhere(filters: Filters) -> None:
    assert starts_of(filters) == dict.fromkeys(range(12), 10)
