"""Apache Kafka as a child process."""

import os
import re
import shutil
import socket
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.errors import StackError
from deploy.local.child import PATIENCE, PROBE_TIMEOUT_S, START_TIMEOUT_S, Child
from deploy.local.java import UTF8_PATHS, class_path, java, require_utf8
from deploy.local.ports import LOOPBACK, free_port

_FILE = "server.properties"
_DAMAGE = re.compile(
    r"initializeLogDirs|MetaProperties|[Cc]orrupt|KafkaStorageException|InconsistentClusterId|EOFException|"
    r"Invalid(?:Record|Offset)|NoSuchFile|FileAlreadyExists|NotDirectory|checkpoint file"
)
"""In the log of a node whose folder is damaged, and not in those of one that had no port or memory."""

_PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
# A relative path: this is a list with commas, in a file of ISO 8859-1 with escapes.
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
    first and pays off after a minute of load. `java_options` are added to those of the node.
    """

    def __init__(
        self,
        folder: Path,
        port: int,
        cluster_id: str | None = None,
        *,
        lives_long: bool = False,
        java_options: Sequence[str] = (),
    ) -> None:
        self.folder = folder.resolve()
        self.port = port
        self._cluster_id = cluster_id or new_cluster_id()
        self._java_options = [*([] if lives_long else ["-XX:TieredStopAtLevel=1"]), *java_options]
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
        """The text of server.properties. `log` is the folder of the records, in that of the node."""
        return _PROPERTIES.format(host=LOOPBACK, port=self.port, controller_port=free_port(), folder=log.name)

    def class_path(self) -> str:
        """Where Java finds Kafka's classes. Raises StackError."""
        return class_path()

    def start(self) -> None:
        """Formats a new folder, starts the node and returns when the broker answers. Raises StackError."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Starts the node without waiting: in a cluster it answers only when enough other nodes run.

        Raises StackError.
        """
        require_utf8(self.folder)
        jars = self.class_path()
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / "log"
        if not log.exists():
            self._format(jars, log)
        if not (log / "meta.properties").exists():
            raise StackError(
                f"{log} has no meta.properties: the folder is damaged. Nothing was changed. Put that file back, or "
                f"move {self.folder} away and start again: Kafka then begins empty."
            )
        self._write_properties(log)
        command: list[str | Path] = [
            *java(),
            "-Xms128m",
            "-Xmx512m",
            *self._java_options,
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp",
            jars,
            "kafka.Kafka",
            _FILE,
        ]
        self._child = Child("Kafka", command, self.folder / "kafka.out", cwd=self.folder, env=UTF8_PATHS)

    def wait(self) -> None:
        """Returns when the broker answers. Raises StackError if it dies or does not answer in time."""
        try:
            self.child.wait_until(self.answers, START_TIMEOUT_S, patience=PATIENCE)
        except StackError as error:
            self.child.stop()
            advice = f"\nIf {self.folder} is damaged, move it away and start again: Kafka then begins empty."
            raise StackError(f"{error}{advice if self.child.shows(_DAMAGE) else ''}") from None

    def answers(self) -> bool:
        """Whether a client gets an answer from the node."""
        try:
            with socket.create_connection((LOOPBACK, self.port), PROBE_TIMEOUT_S):
                pass
        except OSError:
            return False
        try:
            admin = AdminClient({**self.client_config, "log_level": 0})
            return bool(admin.list_topics(timeout=PROBE_TIMEOUT_S).brokers)
        except KafkaException:
            return False

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop()

    def kill(self) -> None:
        self.child.kill()

    def _write_properties(self, log: Path) -> None:
        (self.folder / _FILE).write_text(self.properties(log))

    def _format(self, jars: str, log: Path) -> None:
        """Formats under another name, then renames.

        So a folder with the final name was complete once, and is never emptied, even if it is damaged now.
        """
        half_done = log.with_name("log.new")
        self._write_properties(half_done)
        shutil.rmtree(half_done, ignore_errors=True)  # left by a format that was cut off
        # -t=: an id may begin with a dash
        tool: list[str | Path] = [
            *java(),
            "-cp",
            jars,
            "kafka.tools.StorageTool",
            "format",
            f"-t={self._cluster_id}",
            "-c",
            _FILE,
        ]
        environment = {**os.environ, **UTF8_PATHS}
        done = subprocess.run(
            tool, capture_output=True, text=True, errors="replace", check=False, cwd=self.folder, env=environment
        )
        if done.returncode:
            raise StackError(f"Kafka could not format {self.folder}:\n{done.stdout}{done.stderr}")
        half_done.rename(log)


def new_cluster_id() -> str:
    return urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
