"""Each client of docs/clients whose language is here: against a moody server and a local stack (`make clients`)."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from deploy.code_samples import FOLDERS
from deploy.local.child import Child
from deploy.local.ports import LOOPBACK, free_port
from deploy.sample import DEMO_TOKEN
from support.http import Connection
from support.moody_server import COUNTS, Mood, MoodyServer
from support.partner_clients import PARTNER_CLIENTS, PartnerClient, Prepared
from support.waiting import HANG_S, eventually

TIMEOUT_S = 2
MOODS = [Mood(0), Mood(503, retry_after_s=2), Mood(429, retry_after_s=1)]


def main(names: list[str]) -> int:
    table = Table("client", "after a time-out, 503 and 429", "against the stack: twice", "with a wrong token")
    failed = False
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="orders-clients-")))
        url, token_of = running.enter_context(stack(folder))
        for client in PARTNER_CLIENTS:
            if names and client.folder not in names:
                continue
            shown = results(client, folder, url, token_of)
            failed = failed or any("FAILED" in text for text in shown)
            table.add_row(FOLDERS[client.folder][1], *shown)
            print(f"{client.folder}: {'; '.join(shown)}", flush=True)  # noqa: T201
    Console(width=160 if not sys.stdout.isatty() else None).print(table)
    return int(failed)


@contextmanager
def stack(folder: Path) -> Iterator[tuple[str, Callable[[str], str]]]:
    """The URL of a stack that is started here, and a function that makes a partner of a name and returns its token.

    ORDERS_URL and ORDERS_TOKEN name another stack and its one partner.
    """
    if "ORDERS_URL" in os.environ:
        token = os.environ.get("ORDERS_TOKEN", DEMO_TOKEN)
        yield os.environ["ORDERS_URL"], lambda _: token
        return
    port = free_port()
    ports = {"PORT": port, "LOCAL_KAFKA_PORT": free_port(), "LOCAL_POSTGRES_PORT": free_port()}
    ports |= {f"LOCAL_{part}_METRICS_PORT": free_port() for part in ("INGRESS", "CONSUMER")}
    environment = {f"ORDERS_{name}": str(number) for name, number in ports.items()}
    environment["ORDERS_DATA_DIR"] = str(folder / "data")

    def token_of(name: str) -> str:
        command = [sys.executable, "-m", "deploy", "partners", "add", name]
        added = subprocess.run(
            command, env={**os.environ, **environment}, check=True, stdout=subprocess.PIPE, text=True, timeout=HANG_S
        )
        token = added.stdout.strip()
        with closing(Connection(port)) as connection:
            eventually(lambda: connection.post(token, []).status == 200)
        return token

    child = Child("orders up", [sys.executable, "-m", "deploy", "up"], folder / "up.log", env=environment)
    try:
        child.wait_until(lambda: "Ctrl-C stops everything." in child.log.read_text(), HANG_S)
        yield f"http://{LOOPBACK}:{port}", token_of
    finally:
        child.stop()


def results(client: PartnerClient, folder: Path, url: str, token_of: Callable[[str], str]) -> tuple[str, str, str]:
    way = client.way()
    if way is None:
        return f"left out: no {client.missing()}", "", ""
    try:
        prepared = client.prepare(folder)
    except subprocess.CalledProcessError as error:
        return f"FAILED: {' '.join(error.cmd)}: {error.stderr or error.stdout}", "", ""
    return f"{moody(prepared)}{way.note}", twice(prepared, url, token_of(client.folder)), wrong_token(prepared, url)


def moody(client: Prepared) -> str:
    with MoodyServer(MOODS).running() as server:
        done = client.run(server.url, "a-token", TIMEOUT_S)
    keys = {request.headers["idempotency-key"] for request in server.received}
    statuses = [request.status for request in server.received if request.status]
    if done.returncode or json.loads(done.stdout) != COUNTS or statuses != [503, 429, 200] or len(keys) != 1:
        return f"FAILED: {done}, {statuses}, {keys}"
    return f"{len(server.received)} tries, 1 key"


def twice(client: Prepared, url: str, token: str) -> str:
    counts: list[str] = []
    for _ in range(2):
        done = client.run(url, token)
        if done.returncode:
            return f"FAILED: {done}"
        answer = json.loads(done.stdout)
        if answer["inserted"] + answer["updated"] + answer["skipped"] != 2:
            return f"FAILED: {answer}"
        counts.append(f"{answer['inserted']} inserted, {answer['skipped']} skipped")
    return "; ".join(counts)


def wrong_token(client: Prepared, url: str) -> str:
    done = client.run(url, "no-token")
    return "refused" if done.returncode == 1 and "token" in done.stderr else f"FAILED: {done}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
