"""Kafka and Postgres for the tests, in containers of the official images."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import docker
import psycopg
from docker.errors import DockerException, ImageNotFound, NotFound
from psycopg import sql
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from deploy.local.kafka import KafkaBroker
from deploy.local.ports import LOOPBACK, free_port
from support.private_logs import PASSWORD
from support.waiting import eventually

KAFKA_IMAGE = "docker.io/apache/kafka:4.3.1"
POSTGRES_IMAGE = "docker.io/library/postgres:18"
LABEL = "order-upsert.test-run"
"""Of every container of the tests: the machine's boot, and the pid of the test run with the time of its start."""
ENGINE_TIMEOUT_S = 120

# What testcontainers starts to remove containers needs an image and the engine's socket. Ours are removed by label.
testcontainers_config.ryuk_disabled = True


def missing(*images: str) -> str | None:
    """What is missing for containers of these images, or None."""
    try:
        _require_socket(os.environ.get("DOCKER_HOST", ""))
        with engine() as client:
            for image in images:
                client.images.get(image)
    except ImageNotFound:
        return f"the image {image} is not here"
    except (OSError, DockerException) as error:
        return f"no container engine answers: {error}"
    return None


def _require_socket(host: str) -> None:
    """Raises OSError if nobody listens. The client library would leave a socket open then."""
    if (path := host.removeprefix("unix://")) != host:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(path)


@contextmanager
def engine() -> Iterator[docker.DockerClient]:
    """Of DOCKER_HOST, or the usual socket. What dead test runs left is removed from it. Raises DockerException."""
    client = docker.from_env(timeout=ENGINE_TIMEOUT_S)
    try:
        for container in client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True):
            if is_left(container.labels.get(LABEL, "")):
                with suppress(NotFound):  # another run was faster
                    container.remove(force=True, v=True)
        yield client
    finally:
        client.close()


def label() -> dict[str, str]:
    return {LABEL: f"{_boot()}/{os.getpid()}/{_start_of(os.getpid())}"}


def is_left(value: str) -> bool:
    """Whether the test run of a label is dead. Of another machine, or of an older boot, nobody can say."""
    boot, _, run = value.partition("/")
    pid, _, start = run.partition("/")
    return boot == _boot() and pid.isdigit() and _start_of(int(pid)) != start


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _start_of(pid: int) -> str | None:
    """In clock ticks since the boot. A pid may be used again; with its start it is one process. None if it is dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


@contextmanager
def kafka() -> Iterator[str]:
    """A broker's address. Clients are told the port of this machine, so that is chosen before the start."""
    port = free_port()
    container = DockerContainer(KAFKA_IMAGE).with_envs(**_kafka_variables(port)).with_kwargs(labels=label())
    container.with_bind_ports(port, port)
    bootstrap = f"{LOOPBACK}:{port}"
    with container:
        probe = KafkaBroker(Path("none"), port)
        eventually(lambda: _runs(container) and probe.answers())
        yield bootstrap


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a database that may be used to make others."""
    port = free_port()
    options = "max_connections=200", "timezone=UTC", "log_error_verbosity=terse", "log_min_error_statement=panic"
    container = (
        PostgresContainer(POSTGRES_IMAGE, port, "orders", PASSWORD, "orders", driver=None)
        .with_env("PGPORT", str(port))
        .with_bind_ports(port, port)
        .with_command(["postgres", *(part for option in options for part in ("-c", option))])
        .with_kwargs(labels=label())
    )
    url = f"postgresql://orders:{PASSWORD}@{LOOPBACK}:{port}/orders"
    with container:
        with psycopg.connect(url, autocommit=True) as connection:
            _trust_all(connection)
        yield url


def _trust_all(connection: psycopg.Connection[tuple[str, ...]]) -> None:
    """As the local servers do: roles that a test makes need no password."""
    row = connection.execute("SELECT current_setting('hba_file')").fetchone()
    assert row is not None
    connection.execute(sql.SQL("COPY (SELECT 'host all all all trust') TO {}").format(sql.Literal(row[0])))
    connection.execute("SELECT pg_reload_conf()")


def _kafka_variables(port: int) -> dict[str, str]:
    """The settings of the local stack's node, as the official image takes them."""
    lines = KafkaBroker(Path("none"), port).properties(Path("log")).splitlines()
    found = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    controller = found["listeners"].rpartition(",")[2]
    found["listeners"] = f"PLAINTEXT://0.0.0.0:{port},{controller}"
    found["log.dirs"] = "/var/lib/kafka/data"
    return {variable_of(name): value for name, value in found.items()} | {"KAFKA_HEAP_OPTS": "-Xms128m -Xmx512m"}


def variable_of(name: str) -> str:
    """The variable of the image apache/kafka for a property of Kafka."""
    return "KAFKA_" + name.replace("_", "__").replace("-", "___").replace(".", "_").upper()


def _runs(container: DockerContainer) -> bool:
    """Raises RuntimeError if it has ended."""
    wrapped = container.get_wrapped_container()
    wrapped.reload()
    if wrapped.status not in ("created", "running"):
        raise RuntimeError(f"Kafka's container is {wrapped.status}:\n{wrapped.logs(tail=20).decode()}")
    return True
