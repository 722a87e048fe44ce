import logging

from deploy.logs import QUIET_S, Throttle


def record(text: str, *arguments: object, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("name", level, "file", 1, text, arguments, None)


def test_lines_that_differ_in_numbers_only_come_once_in_a_while_with_their_count() -> None:
    now_s = 0.0
    throttle = Throttle(lambda: now_s)
    assert throttle.filter(record("failed after %d ms", 5))
    assert not throttle.filter(record("failed after %d ms", 7))
    assert not throttle.filter(record("failed after %d ms", 8))
    assert throttle.filter(record("another line"))
    now_s = QUIET_S
    last = record("failed after %d ms", 9)
    assert throttle.filter(last)
    assert last.getMessage() == "failed after 9 ms (2 more like this)"


def test_info_lines_and_stack_traces_are_never_held_back() -> None:
    throttle = Throttle(lambda: 0.0)
    for _ in range(3):
        assert throttle.filter(record("info", level=logging.INFO))
        bug = record("bug", level=logging.ERROR)
        bug.exc_info = (ValueError, ValueError(), None)
        assert throttle.filter(bug)
