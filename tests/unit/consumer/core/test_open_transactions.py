"""When a consumer says that a transaction of another writer holds up a partition."""

from consumer.core.open_transactions import OPEN_S, OpenTransactions


def test_what_stays_open_is_told_of_once_and_so_is_its_end() -> None:
    seen = OpenTransactions()
    assert seen.look({1: 5, 2: 0}, {1: 9, 2: 0}, 0.0) == []
    assert seen.look({1: 5}, {1: 9}, OPEN_S / 2) == []
    (text,) = seen.look({1: 5}, {1: 12}, 7.0)
    assert text.startswith(
        "Partition 1: for 7 s or more, a transaction of another writer has been open at offset 5. 7 rec"
    )
    assert seen.look({1: 5}, {1: 12}, 12.0) == []
    assert seen.look({1: 12}, {1: 12}, 60.0) == ["Partition 1: the transaction at offset 5 ended after 60 s or more"]
    assert seen.look({1: 12}, {1: 12}, 65.0) == []


def test_records_that_go_on_are_no_transaction() -> None:
    """The two ends are not of the same moment."""
    seen = OpenTransactions()
    assert [seen.look({1: end}, {1: end + 3}, 10.0 * end) for end in range(4)] == [[]] * 4


def test_the_next_transaction_is_told_of_too() -> None:
    seen = OpenTransactions()
    seen.look({1: 5}, {1: 9}, 0.0)
    assert len(seen.look({1: 5}, {1: 9}, 10.0)) == 1
    assert seen.look({1: 8}, {1: 9}, 20.0) == ["Partition 1: the transaction at offset 5 ended after 20 s or more"]
    (text,) = seen.look({1: 8}, {1: 9}, 30.0)
    assert "for 10 s or more" in text


def test_nothing_is_said_of_partitions_that_are_not_ours_any_more() -> None:
    seen = OpenTransactions()
    seen.look({1: 5}, {1: 9}, 0.0)
    seen.look({1: 5}, {1: 9}, 10.0)
    assert seen.look({}, {}, 20.0) == []
    assert seen.look({1: 5}, {1: 9}, 30.0) == []
    assert len(seen.look({1: 5}, {1: 9}, 40.0)) == 1
