"""What `orders history` prints of each version, and that it prints it while it reads."""

import json
from collections.abc import Iterator

from consumer.core.record import Record
from consumer.history import History, Version
from deploy.commands.history import _newest, json_lines, text_lines
from support.events import record
from support.orders import an_order

NAMES = "ABC"


def versions_of(*names: str) -> Iterator[Version]:
    return History().versions(record(an_order(name=name), offset) for offset, name in enumerate(names))


def test_only_the_first_version_has_the_whole_order_unless_all_are_asked_for() -> None:
    lines = [json.loads(line) for line in json_lines(versions_of(*NAMES), full=False)]
    assert ["order" in line for line in lines] == [True, False, False]
    assert lines[2]["changes"] == [{"field": "name", "before": "B", "after": "C"}]
    full = [json.loads(line) for line in json_lines(versions_of(*NAMES), full=True)]
    assert [line["order"]["name"] for line in full] == list(NAMES)


def test_each_version_is_one_line_with_only_what_changed() -> None:
    first, second, third = text_lines(versions_of("A", "B", "B"), full=False)
    assert "email: " in first
    assert second.endswith("updated  name: A → B")
    assert third.endswith("unchanged")
    *_, full = text_lines(versions_of("A", "B"), full=True)
    assert "name: B; " in full
    assert "email: " in full


def test_an_order_moves_no_cursor() -> None:
    (line,) = text_lines(versions_of("\x1b[2J\n\u202eB"), full=False)
    assert line.isprintable()
    assert "name: \\x1b[2J\\n\\u202eB" in line


def test_a_line_is_given_before_the_next_record_is_read() -> None:
    read = []

    def records() -> Iterator[Record]:
        for offset in range(3):
            read.append(offset)
            yield record(an_order(), offset)

    next(text_lines(History().versions(records()), full=False))
    assert read == [0]


def test_a_limit_keeps_the_newest_and_no_others() -> None:
    assert [version.record.offset for version in _newest(versions_of(*NAMES), 2)] == [1, 2]
    assert list(_newest([], 2)) == []
