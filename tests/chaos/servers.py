"""Ending and starting servers, and copying their folders."""

import signal
import subprocess
from pathlib import Path

from chaos.cluster import Cluster
from deploy.errors import StackError
from support.waiting import eventually


def start_postgres(cluster: Cluster) -> None:
    """After a kill -9, Postgres refuses to start until its old children have ended."""

    def starts() -> bool:
        try:
            cluster.postgres.start()
        except StackError:
            return False
        return True

    eventually(starts)


def end_postgres(cluster: Cluster, number: signal.Signals) -> None:
    child = cluster.postgres.child
    if child.exit_code is None:
        child.signal(number)
        eventually(lambda: child.exit_code is not None)


def copy_folder(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)  # keeps the owners, which shutil does not
