"""`orders up`: what a newcomer gets, and that it leaves nothing behind."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path

import pytest

from deploy.local.child import Child
from deploy.local.kafka import KafkaBroker
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.postgres import PostgresServer
from support.http import Answer, Connection, get
from support.waiting import HANG_S, eventually


class Stack:
    """A data folder with ports of its own, in which `orders up` is started again and again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / ".data"
        self.port = free_port()
        self.environment = {
            "ORDERS_PORT": str(self.port),
            "ORDERS_DATA_DIR": str(self.data),
            "ORDERS_LOCAL_INGRESS_METRICS_PORT": str(free_port()),
            "ORDERS_LOCAL_CONSUMER_METRICS_PORT": str(free_port()),
            "ORDERS_LOCAL_KAFKA_PORT": str(free_port()),
            "ORDERS_LOCAL_POSTGRES_PORT": str(free_port()),
            # As a newcomer may have it:
            "LC_ALL": "C",
            "http_proxy": f"http://{LOOPBACK}:9",
            "HTTP_PROXY": f"http://{LOOPBACK}:9",
        }
        self.started: list[Child] = []

    def run(self) -> Child:
        command = [sys.executable, "-m", "deploy", "up"]
        log = self.folder / f"up-{len(self.started)}.log"
        self.started.append(Child("orders up", command, log, env=self.environment))
        return self.started[-1]

    def start(self) -> Child:
        """Returns when it has printed everything."""
        child = self.run()
        child.wait_until(lambda: "Ctrl-C stops everything." in child.log.read_text(), HANG_S)
        return child

    def fails(self) -> str:
        """The output of a start that fails."""
        child = self.run()
        eventually(lambda: child.exit_code is not None)
        assert child.exit_code == 1
        text = child.log.read_text()
        assert "Traceback" not in text
        return text

    def orders(self, *arguments: str) -> str:
        """Runs a command in the folder of the stack, without any setting."""
        command = [str(Path(sys.executable).parent / "orders"), *arguments]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ORDERS_")}
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=True
        ).stdout

    def wait_until_gone(self) -> None:
        """The children of a killed part notice that by themselves, a moment later."""
        eventually(lambda: self.processes() == [])

    def processes(self) -> list[int]:
        """The pids of all processes that work in the data folder or for this stack."""
        marks = [str(self.data).encode(), f"ORDERS_PORT={self.port}".encode()]
        found = []
        for process in Path("/proc").iterdir():
            if process.name.isdigit() and int(process.name) != os.getpid():
                try:
                    about = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
                except OSError:
                    continue
                if any(mark in about for mark in marks):
                    found.append(int(process.name))
        return found


@pytest.fixture
def empty_stack(folder: Path) -> Iterator[Stack]:
    """Nothing is there yet, not even the data folder. Its name is as odd as a name can be."""
    stack = Stack(Path(tempfile.mkdtemp(prefix="up é 漢, 100% [red] #1=\\u0041 'x' ", dir=folder)))
    mask = os.umask(0o077)
    yield stack
    os.umask(mask)
    for child in stack.started:
        child.stop()
    stack.wait_until_gone()


@pytest.fixture(scope="module")
def data(folder: Path) -> Path:
    """A data folder whose servers ran once and were stopped."""
    data = folder / "up-data"
    for server in (PostgresServer(data / "postgres", free_port()), KafkaBroker(data / "kafka", free_port())):
        server.start()
        server.stop()
    return data


@pytest.fixture
def stack(empty_stack: Stack, data: Path) -> Stack:
    """Started before, and stopped. Each test has its own copy."""
    subprocess.run(["cp", "-a", data, empty_stack.data], check=True)  # keeps the owners, which shutil does not
    return empty_stack


def post_as_printed(screen: str, change: tuple[str, str] = ("", "")) -> Answer:
    """Sends the request of the printed curl line."""
    line = re.search(r"^curl .*?'$(?<=\}\]\}')", screen, re.DOTALL | re.MULTILINE)
    assert line, screen
    arguments = shlex.split(line[0])
    url = re.fullmatch(r"http://127\.0\.0\.1:(\d+)(/.*)", arguments[1])
    assert url
    headers = dict(value.split(": ") for flag, value in pairwise(arguments) if flag == "-H")
    body = arguments[arguments.index("-d") + 1].replace(*change)
    with closing(Connection(int(url[1]))) as connection:
        return connection.request("POST", url[2], body.encode(), headers)


def test_the_stack_comes_up_stays_when_stopped_and_leaves_no_process(empty_stack: Stack) -> None:
    stack = empty_stack
    child = stack.start()
    screen = child.log.read_text()
    assert " --noproxy '*' " in screen  # a proxy would not find this machine
    assert post_as_printed(screen).body == (
        b'{"message": "1 new records inserted. 0 existing records updated. Same value or invalid data skipped 0", '
        b'"skipped": 0, "inserted": 1, "updated": 0}'
    )
    for part, metric in ("INGRESS", "orders_http_requests_total"), ("CONSUMER", "orders_applied_total"):
        port = int(stack.environment[f"ORDERS_LOCAL_{part}_METRICS_PORT"])
        assert f":{port}/metrics" in screen
        assert metric in get(port, "/metrics").body.decode()
    assert post_as_printed(screen).counts == (0, 0, 1)
    assert post_as_printed(screen, ("1 Main Street", "2 Main Street")).counts == (0, 1, 0)

    token = stack.orders("partners", "add", "shop").strip()
    assert re.fullmatch(r"ord_live_\w{8}_\w{33}", token)
    assert "shop" in stack.orders("partners", "list")
    with closing(Connection(stack.port)) as connection:
        eventually(lambda: connection.post(token, []).status == 200)

    assert "A stack is running in" in stack.fails()  # a second one in the same folder

    child.signal(signal.SIGINT)  # as Ctrl-C
    eventually(lambda: child.exit_code == 0)
    stack.wait_until_gone()

    child = stack.start()
    assert post_as_printed(child.log.read_text(), ("1 Main Street", "2 Main Street")).counts == (0, 0, 1)
    assert "shop" in stack.orders("partners", "list")
    child.signal(signal.SIGTERM)
    eventually(lambda: child.exit_code == 0)
    stack.wait_until_gone()


def test_what_dies_takes_the_stack_down_and_a_killed_stack_starts_again(stack: Stack) -> None:
    child = stack.start()
    consumer = next(pid for pid in stack.processes() if b"consumer" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(consumer, signal.SIGKILL)
    eventually(lambda: child.exit_code == 1)
    assert "consumer ended by itself (SIGKILL)" in child.log.read_text()
    stack.wait_until_gone()

    child = stack.start()
    child.kill()  # kill -9: nobody is left to stop the others, and Postgres's pid file is stale
    stack.wait_until_gone()
    (stack.data / "postgres" / "data" / "postmaster.pid").write_text(
        f"{os.getpid()}\n"
    )  # now the pid of another process
    child = stack.start()
    child.stop()
    assert child.exit_code == 0


def test_all_ports_in_use_are_named_at_once_with_their_variables(empty_stack: Stack) -> None:
    parts = {
        "ORDERS_PORT": "the ingress",
        "ORDERS_LOCAL_INGRESS_METRICS_PORT": "the metrics of the ingress",
        "ORDERS_LOCAL_CONSUMER_METRICS_PORT": "the metrics of the consumer",
        "ORDERS_LOCAL_KAFKA_PORT": "Kafka",
        "ORDERS_LOCAL_POSTGRES_PORT": "Postgres",
    }
    with ExitStack() as taken:
        for variable in parts:
            taken.enter_context(socket.create_server((LOOPBACK, int(empty_stack.environment[variable]))))
        text = empty_stack.fails()
    for variable, part in parts.items():
        assert f"Port {empty_stack.environment[variable]} for {part} cannot be used" in text
        assert f"{variable}=<port>" in text


def test_a_broken_data_folder_says_what_to_do(stack: Stack) -> None:
    meta = stack.data / "kafka" / "log" / "meta.properties"
    whole_meta = meta.read_text()
    meta.write_text("broken")
    assert "move it away and start again: Kafka then begins empty" in stack.fails()
    meta.write_text(whole_meta)
    control = stack.data / "postgres" / "data" / "global" / "pg_control"
    control.write_bytes(b"broken")
    assert "move it away and start again: the tables are then filled from the topic" in stack.fails()


@pytest.mark.parametrize("name", ["kafka/log/meta.properties", "postgres/data/PG_VERSION"])
def test_a_data_folder_without_its_first_file_is_reported_and_never_emptied(stack: Stack, name: str) -> None:
    """Such a folder was taken for a new one, and formatted."""
    missing = stack.data / name
    missing.unlink()
    files = sum(1 for _ in missing.parent.rglob("*"))
    assert "the folder is damaged. Nothing was changed." in stack.fails()
    assert sum(1 for _ in missing.parent.rglob("*")) == files


def test_a_wrong_setting_stops_the_start_with_its_name(empty_stack: Stack) -> None:
    empty_stack.environment["ORDERS_PORT"] = "99999"
    assert "ORDERS_PORT is '99999': Input should be less than or equal to 65535" in empty_stack.fails()
