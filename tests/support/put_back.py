"""Servers that are put back to an older state, as an operator would do it from a backup."""

import os
import shutil
from pathlib import Path

from deploy.local.kafka import KafkaBroker
from deploy.local.postgres import PostgresServer


def copy_of(broker: KafkaBroker, folder: Path, name: str = "copy") -> Path:
    """A backup of its folder. The broker runs again afterwards."""
    broker.stop()
    copy = shutil.copytree(broker.folder, folder / f"{broker.folder.name}-{name}")
    broker.start()
    return copy


def put_back(broker: KafkaBroker, copy: Path) -> None:
    broker.stop()
    shutil.rmtree(broker.folder)
    shutil.copytree(copy, broker.folder)
    broker.start()


def backup_of(server: PostgresServer) -> Path:
    """Its data folder as it is now. The server runs again afterwards."""
    data, backup = server.folder / "data", server.folder / "backup"
    server.stop()
    shutil.copytree(data, backup)
    owner = data.stat()
    for path in [backup, *backup.rglob("*")]:
        os.chown(path, owner.st_uid, owner.st_gid)
    server.start()
    return backup


def restore(server: PostgresServer, backup: Path) -> None:
    """Once for each backup."""
    data = server.folder / "data"
    server.stop()
    shutil.rmtree(data)
    backup.rename(data)
    server.start()
