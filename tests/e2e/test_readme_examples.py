"""The examples of the pages run as they stand there: README's request, and the clients of docs/topics.md."""

import re
import shlex
import sys
from contextlib import closing

import pytest

from deploy.sample import DEMO_TOKEN
from support.http import ORDERS_PATH, Connection
from support.installation import Installation
from support.java import compiled
from support.kept import ROOT
from support.waiting import eventually

TOPICS_PAGE = "docs/topics.md"
LINES_MAX = 11


def examples(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


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
    _, writer = examples(TOPICS_PAGE, "python")
    child = shared_installation.start("writer", program=python(here(writer, shared_installation)))
    eventually(lambda: child.exit_code is not None)
    said = child.log.read_text()
    assert said == "{'inserted': [0], 'updated': [], 'unchanged': [], 'invalid': [], 'stale': []}\n"
    return shared_installation


def test_the_request_of_the_readme_has_the_answer_that_stands_there(written: Installation) -> None:
    """Read as curl reads it, which `make test` does not need."""
    ingress = written.start_ingress()
    token = written.add_partner()
    [request] = [example for example in examples("README.md", "sh") if example.startswith("curl ")]
    [answer] = examples("README.md", "json")
    _, url, _, header, _, body = shlex.split(request)
    assert (url, header) == (f"http://127.0.0.1:8000{ORDERS_PATH}", f"token: {DEMO_TOKEN}")
    headers = {"token": token, "Content-Type": "application/x-www-form-urlencoded"}
    with closing(Connection(ingress.port)) as connection:
        assert connection.request("POST", ORDERS_PATH, body.encode(), headers).body.decode() == answer.strip()


def test_a_writer_gets_its_outcome_on_its_own_topic(written: Installation) -> None:
    assert written.rows("my-shop")["ORD-8"]["total_amount"] == 3000


def test_a_consumer_in_a_few_lines_of_python(written: Installation) -> None:
    reader, _ = examples(TOPICS_PAGE, "python")
    assert len(reader.splitlines()) <= LINES_MAX
    child = written.start("reader", program=python(here(reader, written)))
    eventually(lambda: "/partners/my-shop ORD-8 3000" in child.log.read_text().splitlines())


def test_a_consumer_in_java(written: Installation) -> None:
    [reader] = examples(TOPICS_PAGE, "java")
    folder = written.folder / f"{written.prefix}-java"
    child = written.start("java-reader", program=compiled(here(reader, written), "Follow", folder))
    eventually(lambda: '/partners/my-shop {"name": "John Doe"' in child.log.read_text())
