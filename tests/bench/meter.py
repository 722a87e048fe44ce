"""What a load costs: CPU and memory of every process with its children, bytes in Kafka and in Postgres's log."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg


@dataclass(frozen=True)
class Reading:
    """Totals since the start of the processes, by what they are; memory is what a process does not share, and its part
    of what it does (PSS)."""

    cpu_s: dict[str, float]
    memory_bytes: dict[str, int]
    kafka_bytes: int
    wal_bytes: int

    def cpu_since(self, before: "Reading") -> dict[str, float]:
        return {name: self.cpu_s[name] - before.cpu_s[name] for name in self.cpu_s}


class Meter:
    """`pids`: the processes by what they are. `log_folder`: Kafka's data, of which the records are counted."""

    def __init__(self, pids: Mapping[str, Sequence[int]], log_folder: Path, postgres_url: str) -> None:
        self._processes = {name: [psutil.Process(pid) for pid in of] for name, of in pids.items()}
        self._log_folder = log_folder
        self._connection = psycopg.connect(postgres_url, autocommit=True)

    def read(self) -> Reading:
        wal = self._connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint").fetchone()
        assert wal is not None
        return Reading(
            cpu_s={name: sum(map(cpu_s_of, of)) for name, of in self._processes.items()},
            memory_bytes={name: sum(map(_memory_bytes, of)) for name, of in self._processes.items()},
            kafka_bytes=sum(file.stat().st_size for file in self._log_folder.glob("*/*.log")),
            wal_bytes=wal[0],
        )

    def close(self) -> None:
        self._connection.close()


def cpu_s_of(process: psutil.Process) -> float:
    """Its own, that of its children, and of those that have ended: Postgres has one for each connection."""
    own = process.cpu_times()
    total = own.user + own.system + own.children_user + own.children_system
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it ended just now
            times = child.cpu_times()
            total += times.user + times.system
    return total


def _memory_bytes(process: psutil.Process) -> int:
    total = 0
    for each in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            total += int(each.memory_full_info().pss)
    return total
