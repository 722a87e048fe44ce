"""What tests run on: one real Kafka and one real Postgres for all, topics and a database for each test."""

import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from consumer.postgres.migrate import migrate
from deploy.local.kafka import KafkaBroker
from deploy.local.ports import free_port
from deploy.local.postgres import PostgresServer
from support import server_choice
from support.installation import Installation
from support.private_logs import watched

pytest.register_assert_rewrite("support.contract_of_the_assignment", "support.contract_of_the_applier")

for _variable in [name for name in os.environ if name.startswith("ORDERS_")]:
    del os.environ[_variable]  # tests do not depend on a developer's own settings

# Every run has the same examples, so a test fails only because of a change. To look for new ones, run
# `pytest --hypothesis-profile=explore`.
for _profile, _repeatable, _examples in (("repeatable", True, 100), ("explore", False, 2000)):
    settings.register_profile(
        _profile,
        derandomize=_repeatable,
        max_examples=_examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """Not below pytest's own temporary folder, which the user of Postgres may not enter."""
    path = Path(tempfile.mkdtemp(prefix="orders-test-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _logs_are_private(folder: Path) -> Iterator[None]:
    """At the end of all tests, no log holds a row, a token or a password."""
    with watched(folder, ["*/.data*/logs/*.log"], logging.getLogger()):
        yield


# Given servers come first, then containers if they are wanted (support.server_choice), then local processes.


@pytest.fixture(scope="session")
def bootstrap(folder: Path) -> Iterator[str]:
    if server_choice.KAFKA:
        yield server_choice.KAFKA
        return
    if server_choice.are_containers():
        from support import containers

        with containers.kafka() as address:
            yield address
        return
    broker = KafkaBroker(folder / "kafka", free_port())
    broker.start()
    yield broker.bootstrap
    broker.stop()


@pytest.fixture(scope="session")
def postgres_url(folder: Path) -> Iterator[str]:
    """A database that may be used to make others."""
    if server_choice.POSTGRES:
        yield server_choice.POSTGRES
        return
    if server_choice.are_containers():
        from support import containers

        with containers.postgres() as url:
            yield url
        return
    server = PostgresServer(folder / "postgres", free_port())
    server.start()
    yield server.url("postgres")
    server.stop()


@pytest.fixture(scope="session")
def template_database(postgres_url: str) -> Iterator[str]:
    """The name of a migrated database; a copy of it is made much faster than its migrations run."""
    name = f"orders_template_{secrets.token_hex(4)}"
    _execute(postgres_url, "CREATE DATABASE {}", name)
    migrate(_url_of(postgres_url, name))
    yield name
    _execute(postgres_url, "DROP DATABASE {}", name)


@pytest.fixture
def database(postgres_url: str, template_database: str) -> Iterator[str]:
    """The URL of a migrated database of its own for each test."""
    yield from _database(postgres_url, template_database)


@pytest.fixture
def installation(bootstrap: str, database: str, folder: Path) -> Iterator[Installation]:
    """Topics and tables of its own for each test. Nothing runs yet."""
    yield from _installation(bootstrap, database, folder)


@pytest.fixture(scope="module")
def shared_database(postgres_url: str, template_database: str) -> Iterator[str]:
    """The same for all tests of a file."""
    yield from _database(postgres_url, template_database)


@pytest.fixture(scope="module")
def shared_installation(bootstrap: str, shared_database: str, folder: Path) -> Iterator[Installation]:
    """One installation for all tests of a file. They use different partners, so they do not disturb each other."""
    yield from _installation(bootstrap, shared_database, folder)


@pytest.fixture
def own_kafka(folder: Path) -> Iterator[KafkaBroker]:
    """A broker that a test may kill."""
    broker = KafkaBroker(folder / f"kafka-{secrets.token_hex(4)}", free_port())
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def own_postgres(folder: Path) -> Iterator[PostgresServer]:
    """A server that a test may kill, with the tables in its database `orders`."""
    server = PostgresServer(folder / f"postgres-{secrets.token_hex(4)}", free_port())
    server.start()
    migrate(server.url())
    yield server
    server.stop()


@pytest.fixture
def install(folder: Path) -> Iterator[Callable[[str, str], Installation]]:
    """Returns a function that makes an installation on given servers (bootstrap, postgres_url)."""
    with ExitStack() as running:

        def make(bootstrap: str, postgres_url: str) -> Installation:
            made = Installation(bootstrap, postgres_url, folder)
            running.push(made.running)
            return made.set_up()

        yield make


def _installation(bootstrap: str, database: str, folder: Path) -> Iterator[Installation]:
    made = Installation(bootstrap, database, folder)
    with made.running:
        yield made.set_up()


def _database(postgres_url: str, template: str) -> Iterator[str]:
    name = f"orders_{secrets.token_hex(4)}"
    _execute(postgres_url, "CREATE DATABASE {} TEMPLATE {}", name, template)
    yield _url_of(postgres_url, name)
    _execute(postgres_url, "DROP DATABASE {} WITH (FORCE)", name)


def _execute(url: str, statement: str, *names: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _url_of(url: str, database: str) -> str:
    parts = conninfo_to_dict(url)
    user = f"{parts.get('user', '')}:{parts['password']}" if "password" in parts else parts.get("user", "")
    return f"postgresql://{user}@{parts.get('host')}:{parts.get('port', 5432)}/{database}"
