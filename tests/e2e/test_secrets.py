"""Settings from files, and a password of Postgres that is changed under load."""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import psycopg
import pytest

from consumer.postgres.migrate import migrate
from support.installation import Installation
from support.orders import an_order
from support.private_logs import PASSWORD
from support.secured_postgres import SecuredPostgres
from support.waiting import eventually

OLD, NEW = f"old-{PASSWORD}", f"new-{PASSWORD}"
USER = "shop"


class FromFiles(Installation):
    """Its processes have no password in their environment."""

    @property
    def environment(self) -> dict[str, str]:
        return {name: value for name, value in super().environment.items() if name != "ORDERS_POSTGRES_URL"}


@pytest.fixture
def server(folder: Path) -> Iterator[SecuredPostgres]:
    made = SecuredPostgres(folder / f"secured-postgres-{secrets.token_hex(4)}")
    made.start()
    migrate(made.url())
    made.make_user(USER, OLD)
    yield made
    made.stop()


def test_a_password_of_postgres_is_changed_under_load_and_no_partner_notices(
    server: SecuredPostgres, bootstrap: str, folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "orders_postgres_url"
    file.write_text(server.url_of(USER, OLD) + "\n")
    installation = FromFiles(bootstrap, server.url(), folder)
    variables = {"ORDERS_SECRETS_DIR": str(tmp_path)}
    done = Event()
    with installation.running:
        installation.set_up()
        consumer = installation.start_consumer(variables)
        ingress = installation.start_ingress(variables)
        token = installation.add_partner("load")
        statuses: list[int] = []

        def post() -> None:
            while not done.is_set():
                number = len(statuses)
                answer = installation.post(ingress, token, [an_order(f"O-{number}")], Idempotency_Key=f"key-{number}")
                statuses.append(answer.status)

        def go_on() -> None:
            count = len(statuses)
            eventually(lambda: len(statuses) > count + 5 or posting.done())

        with ThreadPoolExecutor() as pool:
            posting = pool.submit(post)
            go_on()
            server.change_password(USER, NEW)
            eventually(lambda: b"is not in its file yet" in consumer.log.read_bytes())
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(server.url_of(USER, OLD))
            file.write_text(server.url_of(USER, NEW))
            go_on()
            done.set()
            posting.result()
        assert set(statuses) == {200}
        assert consumer.exit_code is None
