"""Child processes, ports and the data folder of the local stack."""

import fcntl
import signal
import socket
import sys
from pathlib import Path

import pytest

from contracts.ledger_reader import NoLedger
from deploy import stack_file
from deploy.errors import StackError
from deploy.local.child import Child
from deploy.local.kafka import KafkaBroker
from deploy.local.ports import LOOPBACK, WantedPort, free_port, require_free
from deploy.local.postgres import PostgresServer
from ingress.server import ServeError, serve
from ingress.settings import IngressSettings
from support.waiting import eventually


def python(code: str, log: Path) -> Child:
    return Child("a child", [sys.executable, "-c", code], log)


def test_a_child_that_dies_says_its_last_words(tmp_path: Path) -> None:
    child = python("print('the reason'); raise SystemExit(3)", tmp_path / "log")
    with pytest.raises(StackError, match=r"a child ended by itself \(exit code 3\)(.|\n)*the reason"):
        child.wait_until(lambda: False, 10)


def test_a_child_that_does_not_get_ready_is_not_waited_for_endlessly(tmp_path: Path) -> None:
    child = python("import time; time.sleep(60)", tmp_path / "log")
    with pytest.raises(StackError, match="was not ready within 0 s"):
        child.wait_until(lambda: False, 0.1)
    child.stop()
    assert child.exit_code == -signal.SIGTERM


def test_a_child_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('here', flush=True); time.sleep(60)"
    child = python(code, tmp_path / "log")
    child.wait_until(lambda: b"here" in child.log.read_bytes(), 10)
    child.stop(timeout_s=0.2)
    assert child.exit_code == -signal.SIGKILL
    child.stop()  # harmless


def test_a_child_does_not_outlive_us(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from deploy.local.child import Child;"
        f"c = Child('x', [sys.executable, '-c', 'import time; time.sleep(60)'], Path({str(tmp_path / 'g')!r}));"
        "print(c.pid, flush=True); time.sleep(60)"
    )
    child = python(code, tmp_path / "log")
    child.wait_until(lambda: child.log.read_bytes().endswith(b"\n"), 10)
    grandchild = Path(f"/proc/{int(child.log.read_text())}")
    assert grandchild.exists()
    child.kill()
    eventually(lambda: not grandchild.exists())


def test_a_port_in_use_is_reported_with_its_variable() -> None:
    require_free([WantedPort(free_port(), LOOPBACK, "x", "ORDERS_X")])
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StackError, match="ORDERS_X=<port>"):
            require_free([WantedPort(port, LOOPBACK, "x", "ORDERS_X")])
        with pytest.raises(ServeError, match="ORDERS_PORT"):
            serve(IngressSettings(kafka_bootstrap="x", port=port), NoLedger())


def test_servers_that_were_not_started_say_so(tmp_path: Path) -> None:
    for server in (KafkaBroker(tmp_path, 1), PostgresServer(tmp_path, 1)):
        with pytest.raises(StackError, match="was not started"):
            server.kill()
        server.stop()


def test_a_stack_is_found_only_while_it_runs(tmp_path: Path) -> None:
    assert stack_file.find_running_stack(tmp_path) == {}
    with stack_file.hold(tmp_path):
        assert stack_file.find_running_stack(tmp_path) == {}
        stack_file.publish(tmp_path, {"A": "1"})
        assert stack_file.find_running_stack(tmp_path) == {"A": "1"}
        with pytest.raises(StackError, match="A stack is running"), stack_file.hold(tmp_path):
            pass
    assert stack_file.find_running_stack(tmp_path) == {}
    (tmp_path / "stack.json").write_text('{"A": "1"}')  # left by a kill -9
    assert stack_file.find_running_stack(tmp_path) == {}


def test_a_data_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match="ORDERS_DATA_DIR"), stack_file.hold(tmp_path / "file" / "data"):
        pass


FAKE_JGO = """
from pathlib import Path
from types import SimpleNamespace
def build(coordinates):
    return SimpleNamespace(all_jars=[Path(__file__).with_name("kafka-clients-4.3.1.jar")])
"""


def fake_jgo(folder: Path, jar: bytes) -> dict[str, str]:
    """The environment of a process that finds this jar instead of Kafka's."""
    (folder / "jgo.py").write_text(FAKE_JGO)
    (folder / "kafka-clients-4.3.1.jar").write_bytes(jar)
    return {"PYTHONPATH": str(folder), "HOME": str(folder)}


PRINT_CLASS_PATH = "from deploy.local.java import class_path; print(class_path())"
AN_EMPTY_ZIP = b"PK\x05\x06" + bytes(18)


def test_two_processes_do_not_download_kafka_at_the_same_time(tmp_path: Path) -> None:
    """On a fresh machine the second process found half of the files of the first."""
    environment = fake_jgo(tmp_path, AN_EMPTY_ZIP)
    (tmp_path / ".cache").mkdir()
    with (tmp_path / ".cache" / "order-upsert.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        child = Child("x", [sys.executable, "-c", PRINT_CLASS_PATH], tmp_path / "log", env=environment)
        waits = f"-> FLOCK  ADVISORY  WRITE {child.pid} "
        eventually(lambda: waits in Path("/proc/locks").read_text())
    eventually(lambda: child.exit_code == 0)
    assert child.log.read_text().strip().endswith("kafka-clients-4.3.1.jar")


def test_a_download_that_was_cut_off_is_reported(tmp_path: Path) -> None:
    environment = fake_jgo(tmp_path, AN_EMPTY_ZIP[:-1])
    child = Child("x", [sys.executable, "-c", PRINT_CLASS_PATH], tmp_path / "log", env=environment)
    eventually(lambda: child.exit_code == 1)
    assert "are damaged or have another version. Remove" in child.log.read_text()
