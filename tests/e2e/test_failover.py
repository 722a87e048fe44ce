"""A standby is promoted without the last transactions of its primary, while orders are posted (P8)."""

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from deploy.local.ports import LOOPBACK
from deploy.local.postgres import PostgresServer
from support.commands import orders
from support.http import Connection
from support.installation import Ingress, Installation
from support.orders import an_order
from support.replica import Replica
from support.waiting import eventually

Install = Callable[[str, str], Installation]
BATCH = 20


@pytest.fixture
def replica(folder: Path, own_postgres: PostgresServer) -> Iterator[Replica]:
    replica = Replica(folder / f"replica-{secrets.token_hex(4)}", own_postgres)
    replica.start()
    yield replica
    replica.stop()


class Posting:
    """Posts new orders, and each batch once more in another version, until it is told to stop."""

    def __init__(self, ingress: Ingress, token: str) -> None:
        self._ingress, self._token = ingress, token
        self._stop = threading.Event()
        self.answered: dict[str, str] = {}
        self.counts: list[tuple[int, ...]] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with closing(Connection(self._ingress.port)) as connection:
            number = 0
            while not self._stop.wait(0.01):
                for name in ("first", "second"):
                    batch = [an_order(f"F-{n}", name=name) for n in range(number, number + BATCH)]
                    self.counts.append(tuple(connection.post(self._token, batch).counts))
                    self.answered.update({order["order_id"]: name for order in batch})
                number += BATCH

    def more(self, batches: int) -> None:
        """Waits until so many more are answered."""
        wanted = len(self.counts) + batches
        eventually(lambda: len(self.counts) >= wanted or not self._thread.is_alive())

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


def count(server: PostgresServer) -> int:
    with psycopg.connect(server.url()) as connection:
        [[found]] = connection.execute("SELECT count(*) FROM orders")
    return int(found)


def test_a_standby_that_lacks_the_last_transactions_is_promoted_under_load(
    install: Install, bootstrap: str, own_postgres: PostgresServer, replica: Replica
) -> None:
    url = (
        f"postgresql://orders@{LOOPBACK}:{own_postgres.port},{LOOPBACK}:{replica.port}/orders"
        "?target_session_attrs=read-write"
    )
    installation = install(bootstrap, url)
    consumers = [installation.start_consumer() for _ in range(2)]
    ingress = installation.start_ingress()
    posting = Posting(ingress, installation.add_partner("failover"))
    try:
        posting.more(6)
        replica.detach()
        posting.more(10)
        assert count(own_postgres) > count(replica)
        own_postgres.kill()
        replica.promote()
        posting.more(10)
    finally:
        posting.stop()
    assert set(posting.counts) == {(BATCH, 0, 0), (0, BATCH, 0)}  # as if nothing had happened
    installation.wait_until_answered()
    names = {order_id: row["name"] for order_id, row in installation.rows("failover").items()}
    assert names == posting.answered
    assert not installation.records(installation.settings.topics.dlq)
    assert all(consumer.exit_code is None for consumer in consumers)
    compared = orders("replay", "--json", env=installation.environment)
    assert compared.returncode == 0, compared.stderr
