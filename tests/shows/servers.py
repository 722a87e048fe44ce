"""Servers of a show's own, which nobody else uses."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from consumer.postgres.migrate import migrate
from deploy.local.kafka import KafkaBroker
from deploy.local.ports import free_port
from deploy.local.postgres import PostgresServer


@contextmanager
def own_servers(show: str, *, lives_long: bool = True) -> Iterator[tuple[Path, KafkaBroker, PostgresServer]]:
    """A folder, and in it both servers, with the tables made. `lives_long`: as KafkaBroker has it."""
    folder = Path(tempfile.mkdtemp(prefix=f"orders-{show}-"))
    with ExitStack() as running:
        running.callback(shutil.rmtree, folder, ignore_errors=True)
        kafka = KafkaBroker(folder / "kafka", free_port(), lives_long=lives_long)
        postgres = PostgresServer(folder / "postgres", free_port())
        for server in (kafka, postgres):
            running.callback(server.stop)
            server.start()
        migrate(postgres.url())
        yield folder, kafka, postgres
