"""The program as it was: the wheel of an earlier commit, which stands in tests/vendor/earlier, on today's libraries.

It is kept there, because a clone may have no history. `make earlier-wheel COMMIT=...` takes another commit.
"""

import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from deploy.local.child import Child
from support.installation import Ingress, Installation
from support.waiting import HANG_S

FOLDER = Path(__file__).parents[1] / "vendor" / "earlier"


@dataclass(frozen=True)
class Earlier:
    """`folder` has its packages."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(self.folder)}

    @staticmethod
    def program(command: str) -> list[str]:
        """-P: Python does not look into the current folder first, which has today's packages."""
        return [sys.executable, "-P", "-W", "error", "-m", "deploy", command]

    def start_consumer(self, installation: Installation) -> Child:
        return installation.start_consumer(self.environment, self.program("consumer"))

    def start_ingress(self, installation: Installation) -> Ingress:
        return installation.start_ingress(self.environment, self.program("ingress"))

    def set_up(self, installation: Installation) -> None:
        setup = installation.start("setup", self.environment, self.program("setup"))
        setup.wait_until(lambda: setup.exit_code is not None, HANG_S)

    def migrations(self) -> set[str]:
        """Of the tables that it makes. It is asked itself, so an answer without today's shows that it is another."""
        ask = "from consumer.postgres.migrate import _migrations; print(*_migrations())"
        done = subprocess.run(
            [sys.executable, "-P", "-c", ask],
            env={**os.environ, **self.environment},
            check=True,
            timeout=HANG_S,
            stdout=subprocess.PIPE,
            text=True,
        )
        return set(done.stdout.split())


def unpacked(folder: Path) -> Earlier:
    (wheel,) = FOLDER.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder)
    return Earlier(folder)
