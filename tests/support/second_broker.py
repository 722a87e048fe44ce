"""A second broker in a cluster, for partitions that have no leader while it is away."""

from pathlib import Path

from deploy.local.kafka import KafkaBroker
from deploy.local.ports import LOOPBACK, free_port


class SecondBroker(KafkaBroker):
    """It is not a controller: the first broker works alone, and knows the leader of each partition."""

    def __init__(self, first: KafkaBroker, folder: Path) -> None:
        """`first` runs."""
        super().__init__(folder, free_port(), _properties(first.folder / "log" / "meta.properties")["cluster.id"])
        self._controllers = _properties(first.folder / "server.properties")["controller.quorum.voters"]

    def properties(self, log: Path) -> str:
        """If a name comes twice, the later one counts."""
        return super().properties(log) + (
            "process.roles=broker\nnode.id=2\n"
            f"listeners=PLAINTEXT://{LOOPBACK}:{self.port}\ncontroller.quorum.voters={self._controllers}\n"
        )


def _properties(file: Path) -> dict[str, str]:
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)
