"""The check of the figures itself: what fails, and with which text."""

import pytest

from contracts.event import is_traceparent
from support.work import Figures, calls, check

TABLE = """
a batch    statements  bytes_per_order
of 1                9            100.5
of 500, a          10               80
"""
AS_BEFORE: Figures = {
    "of 1": {"statements": 9, "bytes_per_order": 100.41},
    "of 500, a": {"statements": 10, "bytes_per_order": 80},
}


def test_what_is_as_before_or_a_little_less_is_green(capsys: pytest.CaptureFixture[str]) -> None:
    check(TABLE, AS_BEFORE)
    assert capsys.readouterr().out.strip() == TABLE.strip(), "what was measured is printed as the table has it"
    check(TABLE, {"of 1": {"statements": 9, "bytes_per_order": 96}})


@pytest.mark.parametrize(
    ("statements", "bytes_per_order", "told"),
    [
        (10, 100, "of 1: statements GREW from 9 to 10\nBEGIN"),
        (8, 100, "of 1: statements fell from 9 to 8\nBEGIN"),
        (9, 100.51, "of 1: bytes_per_order GREW from 100.5 to 100.6\nBEGIN"),
        (9, 90, "of 1: bytes_per_order fell from 100.5 to 90\nBEGIN"),
    ],
)
def test_what_changed_is_red_and_says_what_to_do(statements: float, bytes_per_order: float, told: str) -> None:
    measured = {"of 1": {"statements": statements, "bytes_per_order": bytes_per_order}}
    with pytest.raises(AssertionError) as failure:
        check(TABLE, measured, {"of 1": "BEGIN"})
    assert told in str(failure.value)
    assert "new figure in the table" in str(failure.value)


def test_what_is_not_in_the_table_is_red() -> None:
    with pytest.raises(AssertionError, match="of 7: statements is not in the table, is 3"):
        check(TABLE, {"of 7": {"statements": 3}})


def test_only_our_own_calls_are_counted() -> None:
    with calls() as counted:
        sorted([3, 1, 2], key=abs)
    assert counted.count == 0
    with calls() as counted:
        is_traceparent("no")  # our function, though not called by our code; it calls fullmatch
    assert counted.count == 2
