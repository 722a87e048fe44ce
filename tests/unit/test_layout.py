"""The rules of the layout: which package may import which, and that every error has a test that raises it."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from contracts.errors import OrdersError

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
MAY_IMPORT = {
    "contracts": {"contracts"},
    "ingress": {"contracts", "ingress"},
    "consumer": {"contracts", "consumer"},
    "deploy": {"contracts", "ingress", "consumer", "deploy"},
}
CLIENT_LIBRARIES = {
    "confluent_kafka",
    "psycopg",
    "fastapi",
    "starlette",
    "uvicorn",
    "httptools",
    "uvloop",
    "prometheus_client",
    "typer",
    "rich",
}
PURE = [
    "contracts",
    "consumer/core",
    "consumer/errors.py",
    "consumer/history.py",
    "consumer/letters/fitting.py",
    "consumer/letters/letter.py",
    "consumer/letters/states.py",
    "consumer/progress.py",
    "consumer/refusals.py",
    "consumer/letters/redrive.py",
    "ingress/accept.py",
    "ingress/admission.py",
    "ingress/auth.py",
    "ingress/catalogue.py",
    "ingress/checked_request.py",
    "ingress/error_page.py",
    "ingress/errors.py",
    "ingress/idempotency.py",
    "ingress/preferences.py",
    "ingress/rate_headers.py",
    "ingress/rate_limit.py",
    "ingress/pending_replies.py",
    "ingress/timing.py",
]
LINES_MAX = 250


def sources() -> Iterator[Path]:
    for package in MAY_IMPORT:
        yield from (ROOT / package).rglob("*.py")


def imports_of(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            yield from (f"{node.module}.{name.name}" for name in node.names)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_the_layout_allows(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for file in files:
        ours = {name.split(".")[0] for name in imports_of(file)} & MAY_IMPORT.keys()
        assert ours <= MAY_IMPORT[package], file


def test_contracts_need_pydantic_msgspec_and_the_standard_library_only() -> None:
    import sys

    allowed = {"msgspec", "pydantic", "pydantic_core", "pydantic_settings", "contracts", *sys.stdlib_module_names}
    for file in (ROOT / "contracts").rglob("*.py"):
        assert {name.split(".")[0] for name in imports_of(file)} <= allowed, file


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def modules() -> dict[str, Path]:
    return {module_of(file): file for file in sources()}


def imported_by(module: str) -> set[str]:
    """Modules of ours in full, with the packages around them; of a library, its first name."""
    found = {module.rpartition(".")[0]} - {""}
    for name in imports_of(modules()[module]):
        ours = next((part for part in (name, name.rpartition(".")[0]) if part in modules()), None)
        found.add(ours or name.split(".")[0])
    return found


def ways_to(module: str, forbidden: set[str]) -> Iterator[str]:
    """Each chain of imports from `module` to something forbidden, as text."""
    seen, queue = {module}, [[module]]
    while queue:
        way = queue.pop()
        for name in imported_by(way[-1]) - seen:
            if name in forbidden:
                yield " -> ".join([*way, name])
            elif name in modules():
                seen.add(name)
                queue.append([*way, name])


@pytest.mark.parametrize("place", PURE)
def test_the_core_reaches_no_client_library_and_no_clock_by_any_way(place: str) -> None:
    files = [ROOT / place] if place.endswith(".py") else list((ROOT / place).rglob("*.py"))
    assert files
    for file in files:
        assert not list(ways_to(module_of(file), CLIENT_LIBRARIES | {"time", "threading"}))


def test_a_way_through_other_modules_is_found() -> None:
    """The test above would notice what redrive.py once did: it reached the client library through the producer."""
    assert "consumer.letters.conflicts -> consumer.kafka.topic_reader -> confluent_kafka" in list(
        ways_to("consumer.letters.conflicts", {"confluent_kafka"})
    )
    ways = list(ways_to("consumer.applier", {"psycopg"}))
    assert ways
    assert "consumer.applier -> psycopg" not in ways


def test_all_sql_is_in_the_consumer() -> None:
    statement = re.compile(r"\b(SELECT .* FROM|INSERT INTO|UPDATE \w+ SET|DELETE FROM)\b")
    for file in sources():
        if "consumer" not in file.parts and file.name != "postgres.py":  # which asks whether a database is there
            assert not statement.search(file.read_text()), file


def test_a_file_has_one_subject_and_at_most_five_screens() -> None:
    for file in sources():
        assert len(file.read_text().splitlines()) <= LINES_MAX, file


def all_errors(base: type[OrdersError] = OrdersError) -> set[type[OrdersError]]:
    for package in MAY_IMPORT:
        for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    return {base}.union(*(all_errors(sub) for sub in base.__subclasses__())) if base.__subclasses__() else {base}


def test_every_error_of_the_tree_has_a_test_that_names_it() -> None:
    """A test catches it by name, or a test of the ingress asserts the status of its answer."""
    tests = "\n".join(file.read_text() for file in TESTS.rglob("test_*.py"))
    raised = set(re.findall(r"pytest\.raises\((\w+)", tests))
    statuses = set(re.findall(r"(?:status\s*==\s*|\(|== \()(\d{3})\b", tests))
    for error in all_errors():
        if error.__subclasses__():
            continue  # a branch: its leaves are what is raised
        status = str(getattr(error, "status", ""))
        assert error.__name__ in raised or status in statuses, f"no test raises {error.__name__}"
