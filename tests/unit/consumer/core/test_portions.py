"""Nothing is lost, left out or moved by cutting it."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from consumer.core.portions import batched, portions


@given(st.lists(st.integers(0, 9)), st.integers(0, 20), st.none() | st.integers(1, 5))
def test_a_portion_is_as_large_as_it_may_be(sizes: list[int], bytes_max: int, items_max: int | None) -> None:
    found = list(portions(sizes, int, bytes_max, items_max))
    assert [size for portion in found for size in portion] == sizes
    for portion in found:
        assert len(portion) == 1 or sum(portion) <= bytes_max
        assert items_max is None or len(portion) <= items_max
    for portion, after in pairwise(found):
        assert len(portion) == items_max or sum(portion) + after[0] > bytes_max


@given(st.lists(st.integers()), st.integers(1, 5))
def test_a_batch_is_full_if_another_one_follows(items: list[int], items_max: int) -> None:
    found = list(batched(iter(items), items_max))
    assert [item for batch in found for item in batch] == items
    assert all(len(batch) == items_max for batch in found[:-1])
    assert [] not in found
