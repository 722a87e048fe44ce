"""What stands in ORDERS_POSTGRES_URL and in the environment of a process: encodings, schemas."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from consumer.applier import Applier
from consumer.errors import ConsumerStoppedError
from consumer.postgres.conninfo import conninfo
from consumer.postgres.ledger_reader import PostgresLedgerReader
from consumer.postgres.migrate import migrate, require_migrated
from consumer.postgres.session import SessionHolder
from contracts.event import RequestKey
from contracts.result import StoredRequest
from support.events import batch, event

EMOJI = "😀 é 漢"
SHOP = "?options=-csearch_path%3Dshop"


@pytest.fixture
def latin_database(postgres_url: str) -> Iterator[str]:
    name = f"orders_latin_{secrets.token_hex(4)}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0".encode()
        )
        yield urlsplit(postgres_url)._replace(path=f"/{name}").geturl()
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def read(url: str, request: int) -> StoredRequest | None:
    async def ask() -> StoredRequest | None:
        reader = PostgresLedgerReader(url)
        await reader.open()
        try:
            return await reader.read(RequestKey(UUID(int=request), "p"))
        finally:
            await reader.close()

    return asyncio.run(ask())


def test_setup_refuses_a_database_that_cannot_hold_every_order(latin_database: str) -> None:
    with pytest.raises(ConsumerStoppedError, match=r"^[^\n]*has the encoding LATIN1[^\n]*$"):
        migrate(latin_database)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "WIN1252"])
@pytest.mark.parametrize("orders", [1, 150])
def test_text_is_utf8_whatever_the_environment_says(
    database: str, monkeypatch: pytest.MonkeyPatch, encoding: str, orders: int
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", encoding)
    with closing(SessionHolder(database + "?client_encoding=latin1", 7)) as holder:
        events = [event(0, EMOJI, f"O-{number}", index=number) for number in range(orders)]
        for number, item in enumerate(events):
            item.record.offset = sum(other.record.partition == item.record.partition for other in events[:number])
        Applier(holder, lambda _: None).apply(batch(events))
        with holder.session() as session:
            [[name, count]] = session.connection.execute("SELECT name, count(*) FROM orders GROUP BY 1")
    assert (name, count) == (EMOJI, orders)
    assert read(database, 1) is not None


def test_a_schema_in_the_url_is_heeded_by_every_connection(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA shop")
        assert migrate(database + SHOP)
        with closing(SessionHolder(database + SHOP, 7)) as holder:
            Applier(holder, lambda _: None).apply(batch([event(0)]))
        assert read(database + SHOP, 1) is not None
        assert read(database, 1) is None
        counted = "SELECT (SELECT count(*) FROM shop.orders), (SELECT count(*) FROM public.orders)"
        assert connection.execute(counted).fetchone() == (1, 0)


def test_a_schema_that_does_not_exist_is_told(database: str) -> None:
    with pytest.raises(ConsumerStoppedError, match="No schema of the search_path exists"):
        migrate(database + "?options=-csearch_path%3Dnowhere")
    with (
        psycopg.connect(database + "?options=-csearch_path%3Dnowhere") as connection,
        pytest.raises(ConsumerStoppedError, match=r"no schema of the search_path \(nowhere\) exists"),
    ):
        require_migrated(connection)


def test_a_consumer_reads_what_others_committed_whatever_the_role_s_isolation_is(database: str) -> None:
    url = database + "?options=-cdefault_transaction_isolation%3Dserializable"
    with closing(SessionHolder(url, 7)) as holder, holder.session() as session:
        assert session.connection.execute("SHOW transaction_isolation").fetchone() == ("read committed",)


def test_a_parameter_of_the_url_wins_over_ours() -> None:
    found = conninfo_to_dict(conninfo("postgresql://h/d?connect_timeout=9&application_name=x&options=-cjit%3Doff", "y"))
    assert (found["connect_timeout"], found["application_name"], found["options"]) == ("9", "x", "-cjit=off")
    assert found["client_encoding"] == "UTF8"
