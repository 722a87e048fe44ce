"""`orders replay` on a Postgres with a small disk of its own, which really becomes full."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from consumer.errors import ConsumerStoppedError, DiskFullError
from consumer.postgres.migrate import migrate
from consumer.replay import rebuild
from deploy.local.ports import free_port
from deploy.local.postgres import PostgresServer
from support.commands import orders, orders_here
from support.installation import Installation, headers_of
from support.many_events import history, write
from support.orders import an_order
from support.small_disk import fill_but, small_disk

EVENTS = 10_000
DISK_BYTES, LEFT_BYTES = 256 << 20, 3 << 20
LOG_FILES = 4
ROWS = "SELECT * FROM orders ORDER BY partner_id, order_id"


@pytest.fixture
def small_postgres(folder: Path) -> Iterator[PostgresServer]:
    server = PostgresServer(folder / "postgres-on-a-small-disk", free_port())
    with small_disk(server.folder, DISK_BYTES) as is_there:
        if not is_there:
            pytest.skip("only root may mount a small disk, on Linux; without one no disk can be filled safely")
        server.start()
        migrate(server.url())
        with psycopg.connect(server.url(), autocommit=True) as connection:
            for _ in range(LOG_FILES):  # so that its log has room; without, Postgres ends itself, and that is not ours
                connection.execute(
                    "SELECT pg_logical_emit_message(true, 'orders', 'something'); SELECT pg_switch_wal()"
                )
            connection.execute("CHECKPOINT")
        yield server
        server.stop()


def test_a_full_disk_ends_a_replay_which_gives_room_or_goes_on_when_there_is_some(
    install: Callable[[str, str], Installation],
    bootstrap: str,
    small_postgres: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installation = install(bootstrap, small_postgres.url())
    consumer = installation.start_consumer()
    write(installation, history(EVENTS, EVENTS, seed=1, broken=0))
    installation.wait_until_answered()
    rows = installation.sql(ROWS)
    ballast = small_postgres.folder / "ballast"
    fill_but(LEFT_BYTES, ballast)

    monkeypatch.setattr(rebuild, "IN_PROCESSES_FROM_EVENTS", 1)  # the error comes from another process
    full = orders_here("replay", "--workers", "2", env=installation.environment)
    assert_told(full.returncode, full.stderr)
    assert installation.sql(ROWS) == rows

    # after --drop the service has all of its room again
    dropped = orders("replay", "--drop", "--yes", env=installation.environment)
    assert dropped.returncode == 0, dropped.stderr
    order = an_order("while the disk is nearly full")
    installation.produce([{"key": order["order_id"], "value": json.dumps(order), "headers": headers_of("p-1")}])
    installation.wait_until_answered()
    rows = installation.sql(ROWS)

    again = orders("replay", "--json", env=installation.environment)
    assert_told(again.returncode, again.stderr)
    stands = installation.sql("SELECT sum(next_offset)::int AS n FROM orders_replay.consumer_partition")[0]["n"]
    assert 0 < stands < EVENTS
    ballast.unlink()
    resumed = orders("replay", "--json", env=installation.environment)
    assert resumed.returncode == 0, resumed.stderr
    told = json.loads(resumed.stdout)
    assert (told["events"], told["differences"], told["orders"]) == (EVENTS + 1 - stands, 0, len(rows))
    assert installation.sql(ROWS) == rows
    assert consumer.exit_code is None
    assert small_postgres.child.exit_code is None


def assert_told(returncode: int, stderr: str) -> None:
    assert returncode == 1
    for text in ("No space left on device", "Make room", "orders replay --drop", "The live tables are unchanged"):
        assert text in stderr
    assert "Traceback" not in stderr


def test_whatever_finds_the_disk_full_says_what_to_do(installation: Installation) -> None:
    """Comparing rows and adding indexes need room too."""
    run = rebuild.Rebuild(installation.consumer_settings(), "orders_replay", 1, None, lambda *_: lambda _: None)
    with pytest.raises(ConsumerStoppedError, match="Make room") as stopped, run.alone():
        raise DiskFullError("53100 could not write to file")
    assert isinstance(stopped.value.__cause__, DiskFullError)
