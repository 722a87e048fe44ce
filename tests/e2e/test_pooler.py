"""Behind PgBouncer: in a transaction pool the ingress works, all else refuses, and nothing of ours stays there."""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from consumer.errors import ConsumerStoppedError
from consumer.postgres.ledger_reader import PostgresLedgerReader
from consumer.postgres.session import SessionHolder
from contracts.event import RequestKey
from support.commands import orders
from support.http import get
from support.installation import Installation
from support.orders import an_order
from support.pgbouncer import PROGRAM, PgBouncer

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed: apt-get install pgbouncer")
Pool = Callable[..., PgBouncer]
SETTINGS = (
    "statement_timeout",
    "idle_in_transaction_session_timeout",
    "enable_seqscan",
    "plan_cache_mode",
    "search_path",
)


@pytest.fixture
def pool(folder: Path, database: str) -> Iterator[Pool]:
    running: list[PgBouncer] = []

    def make(pool_mode: str, size: int = 2, ignored: str = "") -> PgBouncer:
        running.append(PgBouncer(folder / f"pgbouncer-{secrets.token_hex(4)}", database, pool_mode, size, ignored))
        return running[-1].start()

    yield make
    for bouncer in running:
        bouncer.stop()


def settings_of(url: str) -> set[tuple[str, ...]]:
    """What another client of the pool finds in its sessions."""
    found = set()
    with (
        psycopg.connect(url) as one,
        psycopg.connect(url) as other,
    ):  # each in a transaction, so in a session of its own
        for connection in (one, other):
            found.add(tuple(str(connection.execute(f"SHOW {name}".encode()).fetchone()) for name in SETTINGS))
            temporary = connection.execute(
                "SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()"
            ).fetchone()
            prepared = connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()
            locks = connection.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
            ).fetchone()
            assert (temporary, prepared, locks) == ((0,), (0,), (0,))
    return found


@pytest.mark.parametrize("size", [1, 2, 10])
def test_a_consumer_refuses_a_pool_of_transactions_and_leaves_nothing_there(
    pool: Pool, database: str, size: int
) -> None:
    url = pool("transaction", size).url
    for _ in range(5):
        with pytest.raises(ConsumerStoppedError, match="pool_mode = transaction"), SessionHolder(url, 7).session():
            pass
    if size > 1:
        assert settings_of(url) == settings_of(database)


@pytest.mark.parametrize("size", [1, 2, 10])
def test_a_consumer_works_in_a_pool_of_sessions(pool: Pool, size: int) -> None:
    holder = SessionHolder(pool("session", size).url, 7)
    with holder.session() as session:
        assert session.fence.read()
    holder.close()


def test_the_ledger_is_read_in_a_pool_of_transactions_and_nothing_stays_there(pool: Pool, database: str) -> None:
    url = pool("transaction").url
    reader = PostgresLedgerReader(url)
    request = RequestKey(UUID(int=1), "p")
    with psycopg.connect(database) as connection:
        connection.execute("INSERT INTO request_key VALUES (%s, 'p', 'd', now())", [request.request_id])

    async def read_many() -> list[str | None]:
        await reader.open()
        try:
            found = []
            for _ in range(20):  # more than psycopg waits before it prepares a statement
                answers = await asyncio.gather(*(reader.read(request) for _ in range(8)))
                found += [None if answer is None else answer.digest for answer in answers]
            return found
        finally:
            await reader.close()

    assert set(asyncio.run(read_many())) == {"d"}
    assert settings_of(url) == settings_of(database)


def test_the_processes_behind_a_pool_of_transactions(installation: Installation, pool: Pool) -> None:
    url = pool("transaction").url
    installation.start_consumer()
    ingress = installation.start_ingress({"ORDERS_POSTGRES_URL": url})
    token = installation.add_partner()
    for _ in range(10):
        answer = installation.post(ingress, token, [an_order("a")], Idempotency_Key="k")
        assert answer.counts == (1, 0, 0)
    later = installation.post(ingress, token, [an_order("b")], Prefer="respond-async")
    assert get(ingress.port, later.headers["location"], token=token).status == 200
    for command in (["consumer"], ["setup"], ["replay"]):
        done = orders(*command, env={**installation.environment, "ORDERS_POSTGRES_URL": url})
        assert done.returncode == 1
        [line] = done.stderr.strip().splitlines()
        assert "pool_mode = transaction" in line
    assert settings_of(url) == settings_of(installation.postgres_url)
