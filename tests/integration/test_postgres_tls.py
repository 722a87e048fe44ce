"""TLS to Postgres: only the server that the URL names is spoken to. PgBouncer has the TLS that the wheel lacks."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from consumer.errors import RetryLaterError
from consumer.postgres.ledger_reader import PostgresLedgerReader
from consumer.postgres.session import SessionHolder
from contracts.event import RequestKey
from support.certificates import Authority
from support.pgbouncer import PROGRAM, PgBouncer

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed: apt-get install pgbouncer")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder / "postgres-certificates")


@pytest.fixture(scope="module")
def url(authority: Authority, shared_database: str, folder: Path) -> Iterator[str]:
    certificate = authority.certificate("postgres")
    bouncer = PgBouncer(folder / "pgbouncer-tls", shared_database, "session", size=10, certificate=certificate).start()
    yield f"{bouncer.url}?sslmode=verify-full&sslrootcert="
    bouncer.stop()


def test_a_consumer_and_an_ingress_speak_tls_with_the_server_that_they_know(url: str, authority: Authority) -> None:
    with closing(SessionHolder(f"{url}{authority.ca}", 7)) as holder, holder.session() as session:
        assert session.connection.pgconn.ssl_in_use
        assert session.fence.read()

    async def read() -> None:
        reader = PostgresLedgerReader(f"{url}{authority.ca}")
        await reader.open()
        try:
            assert await reader.read(RequestKey(uuid4(), "p")) is None
        finally:
            await reader.close()

    asyncio.run(read())


def test_a_server_with_a_certificate_of_somebody_else_is_not_spoken_to(url: str, tmp_path: Path) -> None:
    with (
        closing(SessionHolder(f"{url}{Authority(tmp_path).ca}", 7)) as holder,
        pytest.raises(RetryLaterError, match="certificate verify failed"),
        holder.session(),
    ):
        pass


def test_a_server_of_another_name_is_not_spoken_to(url: str, authority: Authority) -> None:
    other = url.replace("127.0.0.1", "localhost")
    with (
        closing(SessionHolder(f"{other}{authority.ca}", 7)) as holder,
        pytest.raises(RetryLaterError, match="does not match host name"),
        holder.session(),
    ):
        pass
