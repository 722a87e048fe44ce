"""What is foretold is what the fold then does."""

from hypothesis import given
from hypothesis import strategies as st

from consumer.core.fold import RowState, fold, row_state
from consumer.core.foretell import foretell
from support.events import batch_of, record
from support.orders import an_order

ORDERS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), max_size=12)


@given(ORDERS, ORDERS)
def test_the_outcomes_that_are_foretold_are_those_of_the_fold(
    before: list[tuple[str, str]], asked: list[tuple[str, str]]
) -> None:
    orders = [an_order(order_id, name=name) for order_id, name in [*before, *asked]]
    records = [record(order, offset) for offset, order in enumerate(orders)]
    applied = batch_of(records[: len(before)])
    rows: dict[tuple[str, str], RowState] = {}
    for key, position in fold(applied, {}).changed.items():
        rows[key] = row_state(applied.columns, position)
    new = records[len(before) :]
    foretold = foretell(
        [((each.key or b"").decode(), each.value or b"") for each in new],
        {order_id: row.content_hash for (_, order_id), row in rows.items()},
    )
    assert foretold == fold(batch_of(new), rows).outcomes
