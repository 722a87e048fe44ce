"""A row that is refused and a table that refuses everything; and transactions that are too large."""

from consumer.core.batch import Batch
from consumer.refusals import GROWS_AFTER, IN_A_ROW_MAX, KNOWN_MAX, SLOWLY_IN_A_ROW_MAX, SLOWLY_S, Portion, Refusals
from support.events import batch, event


def many(records: int) -> Batch:
    return batch([event(number) for number in range(records)])


def sizes(portion: Portion, rest: Batch | None) -> list[int]:
    """Of the parts, if all of them succeed."""
    found = []
    while rest is not None:
        part, rest = portion.cut(rest)
        portion.succeed(len(part))
        found.append(len(part))
    return found


def test_many_refusals_in_a_row_are_the_table_s() -> None:
    refusals = Refusals()
    assert [refusals.refuse("a", "p", 0) for _ in range(IN_A_ROW_MAX + 1)] == [False] * IN_A_ROW_MAX + [True]


def test_an_accepted_row_or_another_reason_begins_the_count_anew() -> None:
    refusals = Refusals()
    for _ in range(3):
        assert not any(refusals.refuse("a", "p", 0) for _ in range(IN_A_ROW_MAX))
        refusals.accept([("p", "O-1")])
    for reason in ("b", "c"):
        assert not any(refusals.refuse(reason, "p", 0) for _ in range(IN_A_ROW_MAX))


def test_few_orders_a_minute_are_enough_after_some_minutes() -> None:
    refusals = Refusals()
    found = [refusals.refuse("a", "p", 60.0 * minute) for minute in range(30)]
    first = found.index(True)
    assert first >= SLOWLY_IN_A_ROW_MAX
    assert 60.0 * (first - 1) <= SLOWLY_S


def test_what_one_partner_sends_is_not_the_table_s_if_there_are_others() -> None:
    refusals = Refusals()
    refusals.accept([("p", "O-1"), ("q", "O-1"), ("p", "O-2")])
    refusals.refuse("a", "p", 0)
    assert refusals.are_of_one_among(["p", "q"])
    assert not refusals.are_of_one_among(["p"])
    assert not refusals.are_of_one_among([])
    refusals.refuse("a", "q", 0)
    assert not refusals.are_of_one_among(["p", "q", "r"])
    refusals.accept([("p", "O-3")])
    refusals.refuse("a", "q", 0)
    assert refusals.are_of_one_among(["p", "q"])


def test_the_known_rows_are_of_different_partners_and_few() -> None:
    refusals = Refusals()
    refusals.accept([("p", "O-1"), ("q", "O-1"), ("p", "O-2")])
    assert refusals.known == [("p", "O-2"), ("q", "O-1")]
    for number in range(2 * KNOWN_MAX):
        refusals.accept([(f"r-{number}", "O-1")])
    assert [partner for partner, _ in refusals.known] == [f"r-{number}" for number in range(KNOWN_MAX, 2 * KNOWN_MAX)]


def test_a_batch_is_cut_only_after_it_failed_twice() -> None:
    portion, whole = Portion(), many(100)
    assert portion.cut(whole) == (whole, None)
    portion.fail(100)
    assert portion.cut(whole) == (whole, None)
    portion.fail(100)
    part, rest = portion.cut(whole)
    assert rest is not None
    assert [*part.items, *rest.items] == whole.items
    assert part.starts == whole.starts
    assert rest.starts == {**whole.starts, **part.ends}


def test_the_size_grows_back_when_transactions_succeed() -> None:
    portion, whole = Portion(), many(100)
    for _ in range(20):
        portion.fail(len(portion.cut(whole)[0]))
    found = sizes(portion, whole)
    assert found[:17] == [1] * GROWS_AFTER + [2] * GROWS_AFTER + [3]
    for _ in range(10 * GROWS_AFTER):
        found = sizes(portion, whole)
    assert found == [100]
