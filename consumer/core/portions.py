"""Cuts what is sent into portions that a client or a broker takes. Pure."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def portions(
    items: Iterable[Item], size_of: Callable[[Item], int], bytes_max: int, items_max: int | None = None
) -> Iterator[list[Item]]:
    """The items in their order, in portions of at most `bytes_max` and `items_max`; one that is larger is alone."""
    portion: list[Item] = []
    size_bytes = 0
    for item in items:
        of_item = size_of(item)
        if portion and (len(portion) == items_max or size_bytes + of_item > bytes_max):
            yield portion
            portion, size_bytes = [], 0
        portion.append(item)
        size_bytes += of_item
    if portion:
        yield portion


def batched(items: Iterable[Item], items_max: int) -> Iterator[list[Item]]:
    """The items in their order, `items_max` at a time. Python has it from 3.12 on."""
    left = iter(items)
    while batch := list(islice(left, items_max)):
        yield batch
