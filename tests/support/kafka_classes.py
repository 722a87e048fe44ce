"""Writes the archive of Kafka's classes: `python -m support.kafka_classes`. A node runs once, and Java remembers."""

import tempfile
from pathlib import Path

from contracts.settings import KafkaSettings
from deploy.local.java import CLASSES
from deploy.local.kafka import KafkaBroker
from deploy.local.ports import free_port
from deploy.setup import set_up_topics

WRITE_TIMEOUT_S = 300.0


def write_archive(archive: Path) -> None:
    """Raises StackError if the node does not start."""
    with tempfile.TemporaryDirectory() as folder:
        half_done = archive.with_suffix(".half")
        broker = KafkaBroker(Path(folder), free_port(), java_options=[f"-XX:AOTCacheOutput={half_done}"])
        broker.start()
        set_up_topics(KafkaSettings(kafka_bootstrap=broker.bootstrap), None)
        broker.child.stop(WRITE_TIMEOUT_S)
    if half_done.exists():
        half_done.rename(archive)


if __name__ == "__main__":
    write_archive(CLASSES)
