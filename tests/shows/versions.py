"""The main path on the oldest and on the newest Kafka, Postgres and Python that are supported: `make show-versions`.

At each end it starts servers of these versions, and runs tests of whole processes on them. A Postgres of Debian
(`apt-get install postgresql-15`) and a newer Python have to be here; ARGS names that Python, if it is not in the PATH.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from consumer.postgres.server import OLDEST_POSTGRES
from deploy.local import postgres
from deploy.local.java import KAFKA_VERSION, maven_jars
from deploy.local.kafka import KafkaBroker
from deploy.local.ports import free_port

ROOT = Path(__file__).parents[2]
MAIN_PATH = ("counts", "asking_twice", "dlq", "foreign_writers", "history_command", "doctor", "replay")
"""Files of tests/e2e. A test in them that kills a server has one of the local stack."""
OLDEST_KAFKA_RELEASE = "3.7.2"
NEWER_PYTHONS = "python3.14", "python3.13", "python3.12"


class BrokerOf(KafkaBroker):
    """A broker of another release, on the Java of the local stack."""

    release = KAFKA_VERSION

    def class_path(self) -> str:
        jars = maven_jars(f"org.apache.kafka:kafka_2.13:{self.release}+org.slf4j:slf4j-simple:1.7.36")
        assert f"kafka-clients-{self.release}.jar" in {jar.name for jar in jars}, jars
        return ":".join(map(str, jars))


@contextmanager
def servers(kafka: str, programs: Path) -> Iterator[dict[str, str]]:
    """The variables of a Kafka of that release, and of a Postgres whose programs stand in that folder."""
    folder = Path(tempfile.mkdtemp(prefix="orders-versions-"))
    broker = BrokerOf(folder / "kafka", free_port())
    broker.release = kafka
    server = postgres.PostgresServer(folder / "postgres", free_port())
    try:
        broker.start()
        with patch.object(postgres, "binaries", lambda: programs):
            server.start()
        yield {"ORDERS_KAFKA_BOOTSTRAP": broker.bootstrap, "ORDERS_POSTGRES_URL": server.url("postgres")}
    finally:
        broker.stop()
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def newer_python(given: str | None) -> Path:
    """A venv of a newer Python, with what the tests need. It is made once."""
    program = given or next(filter(_runs, NEWER_PYTHONS), None)
    if program is None:
        raise SystemExit("No newer Python is in the PATH. Name one: make show-versions ARGS=/path/to/python3.13")
    venv = Path(sys.prefix) / "newer" / Path(program).name
    if not (venv / "done").exists():
        subprocess.run([program, "-m", "venv", venv], check=True)
        files = [part for name in ("build", "dev") for part in ("-r", ROOT / "requirements" / f"{name}.txt")]
        subprocess.run([venv / "bin" / "pip", "install", "--quiet", "--require-hashes", *files], check=True)
        (venv / "done").touch()
    return venv / "bin" / "python"


def _runs(program: str) -> bool:
    """pyenv has a program for each version, and some only say that they are not chosen."""
    return shutil.which(program) is not None and not subprocess.run([program, "-V"], capture_output=True).returncode


def show(kafka: str, programs: Path, python: Path) -> int:
    """Prints one line. Returns pytest's exit code."""
    postgres_told, python_told = (
        subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout.split()
        for program in (programs / "postgres", python)
    )
    started_s = time.monotonic()
    with servers(kafka, programs) as variables:
        files = [f"tests/e2e/test_{name}.py" for name in MAIN_PATH]
        done = subprocess.run(
            [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files],
            cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        print(done.stdout, done.stderr)  # noqa: T201
    (result,) = re.findall(r"^.*\d+ (?:passed|failed|error).*$", done.stdout, re.MULTILINE)[-1:] or ["no test ran"]
    print(  # noqa: T201
        f"Kafka {kafka}, Postgres {postgres_told[2]}, Python {python_told[1]}: {result} "
        f"({time.monotonic() - started_s:.0f} s, load {os.getloadavg()[0]:.1f})",
        flush=True,
    )
    return done.returncode


def main(given_python: str | None = None) -> int:
    oldest = Path(f"/usr/lib/postgresql/{OLDEST_POSTGRES}/bin")
    if not oldest.exists():
        raise SystemExit(f"{oldest} is not here: apt-get install postgresql-{OLDEST_POSTGRES}")
    python = newer_python(given_python)
    at_oldest = show(OLDEST_KAFKA_RELEASE, oldest, Path(sys.executable))
    return at_oldest or show(KAFKA_VERSION, postgres.binaries(), python)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
