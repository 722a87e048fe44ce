"""The examples of README.md for shops that read or write the topics run as they stand there."""

import re
import sys

import pytest

from support.installation import Installation
from support.java import compiled
from support.kept import ROOT
from support.waiting import eventually

SECTION = "\n## For shops that read or write the topics\n"
LINES_MAX = 10


def examples(language: str) -> list[str]:
    section = (ROOT / "README.md").read_text().split(SECTION)[1].split("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def here(example: str, installation: Installation) -> str:
    """The example, with the names of the broker, topics and groups of this test."""
    for name, ours in (
        ("127.0.0.1:19092", installation.bootstrap),
        ("orders.upserts", installation.settings.topics.upserts),
        ('"my-', f'"{installation.prefix}-my-'),
    ):
        assert name in example
        example = example.replace(name, ours)
    return example


def python(example: str) -> list[str]:
    return [sys.executable, "-W", "error", "-c", example]


@pytest.fixture(scope="module")
def written(shared_installation: Installation) -> Installation:
    """The writer has published its order and received the outcome."""
    shared_installation.start_consumer()
    _, writer = examples("python")
    child = shared_installation.start("writer", program=python(here(writer, shared_installation)))
    eventually(lambda: child.exit_code is not None)
    said = child.log.read_text()
    assert said == "{'inserted': [0], 'updated': [], 'unchanged': [], 'invalid': [], 'stale': []}\n"
    return shared_installation


def test_a_writer_gets_its_outcome_on_its_own_topic(written: Installation) -> None:
    assert written.rows("my-shop")["ORD-8"]["total_amount"] == 3000


def test_a_consumer_in_ten_lines_of_python(written: Installation) -> None:
    reader, _ = examples("python")
    assert len(reader.splitlines()) <= LINES_MAX
    child = written.start("reader", program=python(here(reader, written)))
    eventually(lambda: child.log.read_text() == "/partners/my-shop ORD-8 3000\n")


def test_a_consumer_in_java(written: Installation) -> None:
    [reader] = examples("java")
    folder = written.folder / f"{written.prefix}-java"
    child = written.start("java-reader", program=compiled(here(reader, written), "Follow", folder))
    eventually(lambda: '/partners/my-shop {"name": "John Doe"' in child.log.read_text())
