"""Child processes, ports and the data folder of the local stack."""

import fcntl
import signal
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from contracts.ledger_reader import NoLedger
from deploy import stack_file
from deploy.errors import StackError
from deploy.local.child import Child
from deploy.local.java import class_path
from deploy.local.kafka import KafkaBroker
from deploy.local.ports import LOOPBACK, WantedPort, free_port, require_free
from deploy.local.postgres import PostgresServer, let_read
from deploy.sample import curl
from deploy.up import UpSettings, _is_ready
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
    with pytest.raises(StackError, match="was not ready within 0 s and makes no progress"):
        child.wait_until(lambda: False, 0.1)
    child.stop()
    assert child.exit_code == -signal.SIGTERM


def test_a_slow_child_is_waited_for_while_it_makes_progress(tmp_path: Path) -> None:
    child = python("import time; time.sleep(60)", tmp_path / "log")
    asked = 0

    def is_ready_late() -> bool:
        """It writes into the log by itself, as the child would."""
        nonlocal asked
        asked += 1
        with child.log.open("ab") as log:
            log.write(b"recovering\n")
        return asked > 20

    child.wait_until(is_ready_late, 0.1, patience=1e6)
    asked = -1_000_000
    with pytest.raises(StackError, match=r"was not ready within \d+ s\.\n"):
        child.wait_until(is_ready_late, 0.1, patience=5)
    child.stop()


def test_work_without_a_line_is_progress_too(tmp_path: Path) -> None:
    child = python("while True: pass", tmp_path / "log")
    eventually(lambda: child._work()[1] > 0)
    child.stop()


DAMAGED = {
    "Kafka": [
        "at kafka.server.KafkaRaftServer$.initializeLogDirs(KafkaRaftServer.scala:140)",
        "java.nio.file.FileAlreadyExistsException: log/__cluster_metadata-0",
        "org.apache.kafka.common.errors.CorruptRecordException: Record size 0 is less than the minimum",
        "ERROR Encountered fault: org.apache.kafka.common.errors.KafkaStorageException: Disk error",
    ],
    "Postgres": [
        "PANIC:  could not locate a valid checkpoint record at 0/1",
        'FATAL:  could not open file "global/pg_control": No such file or directory',
        "FATAL:  incorrect checksum in control file",
    ],
}
NOT_DAMAGED = {
    "Kafka": [
        "java.net.BindException: Address already in use",
        "KafkaStorageException: java.io.IOException: No space left on device",
        "at KafkaRaftServer.initializeLogDirs: java.nio.file.AccessDeniedException: log/meta.properties",
        "Error: Could not find or load main class kafka.Kafka",
        "# There is insufficient memory for the Java Runtime Environment to continue.",
        "java.lang.OutOfMemoryError: unable to create native thread",
        "",
    ],
    "Postgres": [
        'LOG:  could not bind IPv4 address "127.0.0.1": Address already in use',
        "FATAL:  could not map anonymous shared memory: Cannot allocate memory",
        "FATAL:  could not create lock file: No space left on device",
        "PANIC:  could not write to file: No space left on device",
        'FATAL:  could not open file "PG_VERSION": Permission denied',
        "",
    ],
}


@pytest.mark.parametrize(
    ("server", "line", "is_damaged"),
    [(server, line, True) for server, lines in DAMAGED.items() for line in lines]
    + [(server, line, False) for server, lines in NOT_DAMAGED.items() for line in lines],
)
def test_only_a_damaged_folder_is_to_be_moved_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str, line: str, is_damaged: bool
) -> None:
    """Somebody who moves a whole folder away loses what stands in it."""
    child = python(f"print({line!r}); raise SystemExit(1)", tmp_path / "log")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "PG_VERSION").write_text("18")
    monkeypatch.setattr("deploy.local.postgres.Child", lambda *_, **__: child)
    monkeypatch.setattr("deploy.local.postgres._system_user", lambda _: None)
    broker = KafkaBroker(tmp_path, 1)
    broker._child = child
    start = broker.wait if server == "Kafka" else PostgresServer(tmp_path, 1).start
    with pytest.raises(StackError, match="ended by itself") as caught:
        start()
    assert ("move it away and start again" in str(caught.value)) == is_damaged


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
    return {"PYTHONPATH": str(folder), "HOME": str(folder), "JGO_CACHE_DIR": "", "M2_REPO": ""}


def test_without_a_home_that_can_be_written_the_jars_go_into_the_venv(tmp_path: Path) -> None:
    environment = {**fake_jgo(tmp_path, AN_EMPTY_ZIP), "HOME": "/proc/no-home"}
    code = f"import os, sys; sys.prefix = {str(tmp_path)!r};"
    code += PRINT_CLASS_PATH + "; print(os.environ['JGO_CACHE_DIR'], os.environ['M2_REPO'])"
    child = Child("x", [sys.executable, "-c", code], tmp_path / "log", env=environment)
    eventually(lambda: child.exit_code is not None)
    assert child.log.read_text().splitlines()[-1] == f"{tmp_path}/home/.cache/jgo {tmp_path}/home/.m2/repository"


def test_without_any_folder_for_the_jars_the_error_names_those_that_were_tried(tmp_path: Path) -> None:
    environment = {**fake_jgo(tmp_path, AN_EMPTY_ZIP), "HOME": "/proc/no-home"}
    code = "import sys; sys.prefix = '/proc/no-venv'; " + PRINT_CLASS_PATH
    child = Child("x", [sys.executable, "-c", code], tmp_path / "log", env=environment)
    eventually(lambda: child.exit_code is not None)
    text = child.log.read_text()
    for folder in ("/proc/no-home/.cache/jgo", "/proc/no-venv/home/.m2/repository", "Set HOME", "M2_REPO"):
        assert folder in text


def test_the_folders_for_the_jars_can_be_given(tmp_path: Path) -> None:
    environment = {**fake_jgo(tmp_path, AN_EMPTY_ZIP), "HOME": "/proc/no-home"}
    environment |= {"JGO_CACHE_DIR": f"{tmp_path}/a", "M2_REPO": f"{tmp_path}/b"}
    child = Child("x", [sys.executable, "-c", PRINT_CLASS_PATH], tmp_path / "log", env=environment)
    eventually(lambda: child.exit_code == 0)
    assert (tmp_path / "a" / "order-upsert.lock").exists()


def test_a_proxy_s_password_is_not_told(tmp_path: Path) -> None:
    environment = fake_jgo(tmp_path, AN_EMPTY_ZIP)
    (tmp_path / "jgo.py").write_text("def build(_): raise ValueError('Failed to parse: http://user:SEC/RET@proxy:1')")
    child = Child("x", [sys.executable, "-c", PRINT_CLASS_PATH], tmp_path / "log", env=environment)
    eventually(lambda: child.exit_code is not None)
    assert "Failed to parse: http://***@proxy:1" in child.log.read_text().splitlines()[-2]


def test_a_path_that_java_cannot_name_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StackError, match=r"is not UTF-8\. Choose another with ORDERS_DATA_DIR"):
        KafkaBroker(tmp_path / "\udcff", 1).start()
    monkeypatch.setattr("deploy.local.java.maven_jars", lambda _: [Path("/a:b/kafka-clients-4.3.1.jar")])
    with pytest.raises(StackError, match="because its path has a colon"):
        class_path.__wrapped__()


def test_what_pip_installed_under_a_strict_umask_can_be_read_by_another_user(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir(mode=0o700)
    for name, mode in (("postgres", 0o700), ("postgres.bki", 0o600)):
        (tmp_path / "bin" / name).touch(mode)
    (tmp_path / "bin" / "link").symlink_to("nowhere")
    let_read(tmp_path)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "bin").glob("postgres*")}
    assert modes == {"postgres": 0o705, "postgres.bki": 0o604}
    assert (tmp_path / "bin").stat().st_mode & 0o777 == 0o705


class Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"kafka": true}')

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def test_a_proxy_is_not_asked_for_what_runs_on_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://{LOOPBACK}:9")
    dead = python("pass", tmp_path / "log")
    with HTTPServer((LOOPBACK, 0), Ready) as server:
        settings = UpSettings(port=server.server_port)
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert _is_ready(settings, [])
        thread.join()
        eventually(lambda: dead.exit_code == 0)
        with pytest.raises(StackError, match="ended by itself"):
            _is_ready(settings, [dead])
    assert "orders --noproxy '*' -H" in curl("http://127.0.0.1:8000", "t")
    assert curl("http://127.0.0.1:8000", "t").isascii()


PRINT_CLASS_PATH = "from deploy.local.java import class_path; print(class_path())"
AN_EMPTY_ZIP = b"PK\x05\x06" + bytes(18)


def test_two_processes_do_not_download_kafka_at_the_same_time(tmp_path: Path) -> None:
    """On a fresh machine the second process found half of the files of the first."""
    environment = fake_jgo(tmp_path, AN_EMPTY_ZIP)
    cache = tmp_path / ".cache" / "jgo"
    cache.mkdir(parents=True)
    with (cache / "order-upsert.lock").open("w") as lock:
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
