"""Three roles with the rights that docs/operating.md gives them, and the main tests of the suite under them."""

import asyncio
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from consumer.errors import ConsumerStoppedError
from consumer.postgres.ledger_reader import PostgresLedgerReader
from consumer.postgres.migrate import migrate
from consumer.postgres.session import SessionHolder
from consumer.postgres.tables import FUNCTIONS, RIGHTS, require_tables
from contracts.event import RequestKey
from contracts.ledger_reader import LedgerUnavailableError, OrdersUnreadableError
from contracts.result import Outcome
from deploy.local.child import Child
from e2e.test_asking_twice import (
    ingresses,
    post,
    test_another_body_under_the_key_is_422_and_never_applied,
    test_the_same_key_gives_the_first_counts_from_any_ingress,
)
from e2e.test_counts import (
    ingress,
    test_a_batch_is_counted_order_by_order_and_each_row_is_its_last_event,
    test_a_row_holds_every_field_and_where_it_came_from,
    test_a_thousand_orders_in_one_request,
    test_two_partners_use_the_same_order_id_and_do_not_see_each_other,
)
from support.commands import orders
from support.installation import Installation
from support.kept import ROOT

__all__ = [
    "ingress",
    "ingresses",
    "post",
    "test_a_batch_is_counted_order_by_order_and_each_row_is_its_last_event",
    "test_a_row_holds_every_field_and_where_it_came_from",
    "test_a_thousand_orders_in_one_request",
    "test_another_body_under_the_key_is_422_and_never_applied",
    "test_the_same_key_gives_the_first_counts_from_any_ingress",
    "test_two_partners_use_the_same_order_id_and_do_not_see_each_other",
]
ROLES = "orders_setup", "orders_consumer", "orders_ingress"


@dataclass
class Roles(Installation):
    """`postgres_url` is a superuser's, for what a test looks at; each process has the role of its command."""

    urls: Mapping[str, str] = field(default_factory=dict)

    def start(
        self, command: str, variables: Mapping[str, str] | None = None, program: list[str] | None = None
    ) -> Child:
        return super().start(command, {"ORDERS_POSTGRES_URL": self.urls[command], **(variables or {})}, program)


@dataclass
class Rights:
    """A database, and the URLs of the three roles. The roles of a server are for all of its databases."""

    url: str
    name: str
    suffix: str

    def role(self, role: str) -> str:
        return f"{role}_{self.suffix}"

    def url_of(self, role: str) -> str:
        server = conninfo_to_dict(self.url)
        return f"postgresql://{self.role(role)}:change-me@{server['host']}:{server['port']}/{self.name}"

    def run(self, statements: str, role: str | None = None) -> None:
        """As the page has them, but for the names."""
        for name in ROLES:
            statements = statements.replace(name, self.role(name))
        statements = statements.replace("DATABASE orders", f"DATABASE {self.name}")
        with psycopg.connect(self.url_of(role) if role else self.url, autocommit=True) as connection:
            connection.execute(statements.encode())


def statements_of_the_page() -> tuple[str, str]:
    """What is to be run before `orders setup`, and what after it."""
    page = (ROOT / "docs" / "operating.md").read_text()
    section = page.partition("\n## Roles and rights\n")[2].partition("\n## ")[0]
    before, after = re.findall(r"^```sql\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return before, after


@pytest.fixture(scope="module")
def rights(postgres_url: str) -> Iterator[Rights]:
    suffix = secrets.token_hex(4)
    name = f"orders_roles_{suffix}"
    server = conninfo_to_dict(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        connection.execute(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC".encode())
        made = Rights(f"postgresql://{server['user']}@{server['host']}:{server['port']}/{name}", name, suffix)
        before, after = statements_of_the_page()
        made.run(before)
        migrate(made.url_of("orders_setup"))
        made.run(after, "orders_setup")
        yield made
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
        for role in ROLES:
            connection.execute(f"DROP ROLE {made.role(role)}".encode())


@pytest.fixture(scope="module")
def shared_installation(bootstrap: str, rights: Rights, folder: Path) -> Iterator[Installation]:
    """What the tests of the other files run on, here with three roles."""
    urls = {name.removeprefix("orders_"): rights.url_of(name) for name in ROLES}
    made = Roles(bootstrap, rights.url, folder, urls=urls)
    with made.running:
        yield made.set_up()


@pytest.mark.usefixtures("ingress")  # which starts a consumer too
def test_a_replay_is_swapped_in_and_the_consumer_goes_on(shared_installation: Installation, rights: Rights) -> None:
    environment = {**shared_installation.environment, "ORDERS_POSTGRES_URL": rights.url_of("orders_setup")}
    swapped = orders("replay", "--swap", "--yes", env=environment)
    assert swapped.returncode == 0, swapped.stderr
    with closing(SessionHolder(rights.url_of("orders_consumer"), 7)) as holder, holder.session() as session:
        require_tables(session.connection)


def test_each_right_that_a_consumer_lacks_is_named(rights: Rights) -> None:
    role = rights.role("orders_consumer")
    for table, needed in RIGHTS.items():
        for right in needed.split(", "):
            rights.run(f"REVOKE {right} ON {table} FROM orders_consumer")
            with (
                closing(SessionHolder(rights.url_of("orders_consumer"), 7)) as holder,
                pytest.raises(ConsumerStoppedError) as caught,
                holder.session() as session,
            ):
                require_tables(session.connection)
            assert f"the right {right} on the table {table} is missing" in str(caught.value)
            assert f"The role {role} " in str(caught.value)
            rights.run(f"GRANT {right} ON {table} TO orders_consumer")
    for function in FUNCTIONS:
        rights.run(f"REVOKE EXECUTE ON FUNCTION {function} FROM orders_consumer")
        with (
            closing(SessionHolder(rights.url_of("orders_consumer"), 7)) as holder,
            pytest.raises(ConsumerStoppedError, match="the right EXECUTE on the function"),
            holder.session() as session,
        ):
            require_tables(session.connection)
        rights.run(f"GRANT EXECUTE ON FUNCTION {function} TO orders_consumer")
    for revoked, told in (
        ("TEMPORARY ON DATABASE orders", "the right TEMPORARY on the database"),
        ("USAGE ON SCHEMA public", "the right USAGE on it is missing"),
    ):
        rights.run("REVOKE USAGE ON SCHEMA public FROM PUBLIC")
        rights.run(f"REVOKE {revoked} FROM orders_consumer")
        with (
            closing(SessionHolder(rights.url_of("orders_consumer"), 7)) as holder,
            pytest.raises(ConsumerStoppedError, match=told),
            holder.session() as session,
        ):
            require_tables(session.connection)
        rights.run(f"GRANT {revoked} TO orders_consumer")


def test_a_right_that_is_taken_while_a_consumer_runs_is_named(rights: Rights) -> None:
    with closing(SessionHolder(rights.url_of("orders_consumer"), 7)) as holder:
        with holder.session() as session:
            assert session.fence.read()
        rights.run("REVOKE SELECT ON consumer_partition FROM orders_consumer")
        with (
            pytest.raises(ConsumerStoppedError, match="the right SELECT on the table consumer_partition is missing"),
            holder.session() as session,
        ):
            session.fence.read()
    rights.run("GRANT SELECT ON consumer_partition TO orders_consumer")


def test_an_ingress_says_what_it_may_not_read(rights: Rights) -> None:
    async def read() -> list[Outcome]:
        reader = PostgresLedgerReader(rights.url_of("orders_ingress"))
        await reader.open()
        try:
            await reader.read(RequestKey(UUID(int=1), "p"))
            await reader.read_log()
            await reader.list_requests("p", None, None, 1)
            return await reader.foretell("p", [("never", b"{}")])
        finally:
            await reader.close()

    assert asyncio.run(read()) == [Outcome.INSERTED]
    for table in ("request_part", "request_key", "source_topic", "consumer_partition"):
        rights.run(f"REVOKE SELECT ON {table} FROM orders_ingress")
        with pytest.raises(LedgerUnavailableError, match=rf"{table}.*needs SELECT"):
            asyncio.run(read())
        rights.run(f"GRANT SELECT ON {table} TO orders_ingress")
    rights.run("REVOKE EXECUTE ON FUNCTION order_hashes(text, text[]) FROM orders_ingress")
    with pytest.raises(OrdersUnreadableError, match=r"order_hashes.*for dry-runs EXECUTE on order_hashes"):
        asyncio.run(read())
    rights.run("GRANT EXECUTE ON FUNCTION order_hashes(text, text[]) TO orders_ingress")
    with (
        psycopg.connect(rights.url_of("orders_ingress")) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("SELECT content_hash FROM orders")


def test_who_may_not_create_tables_is_told_by_setup(rights: Rights, postgres_url: str) -> None:
    with pytest.raises(ConsumerStoppedError, match=r"(?s)permission denied for schema.*Roles and rights"):
        migrate(rights.url_of("orders_ingress") + "?options=-csearch_path%3Dpg_catalog")
