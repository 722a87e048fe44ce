"""What happened, as JSON lines: each call before it is made, each answer, each fault, the memory of processes."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from chaos.workload import Item

_OF_THE_ANSWER = ("answered_s", "status", "body", "replayed", "location", "error")


@dataclass(slots=True)
class Call:
    """One request. `trace` is its trace id: the events that it published carry it.

    `asked_of`: the call whose status is asked for. `answered_s` and `status` are None without an answer.
    """

    trace: str
    client: str
    partner: str
    items: tuple[Item, ...]
    ingress: int
    at_s: float
    sort: str = "orders"
    key: str | None = None
    prefer: str | None = None
    asked_of: str | None = None
    answered_s: float | None = None
    status: int | None = None
    body: dict[str, Any] = field(default_factory=dict)
    replayed: bool = False
    location: str | None = None
    error: str | None = None

    @property
    def counts(self) -> tuple[int, int, int] | None:
        """(inserted, updated, skipped) of a 200."""
        if self.status != 200 or "inserted" not in self.body:
            return None
        return self.body["inserted"], self.body["updated"], self.body["skipped"]


@dataclass(frozen=True, slots=True)
class FaultSeen:
    """A fault that happened, with its victim. A scaling has no duration."""

    kind: str
    detail: str
    begin_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Weight:
    """Resident memory of a process."""

    process: str
    at_s: float
    rss_mb: float


class History:
    """Every client thread uses it. Times are seconds since `start_s`, which is in seconds since 1970."""

    def __init__(self, file: Path, now_s: Callable[[], float] = time.time) -> None:
        self.start_s = now_s()
        self.calls: list[Call] = []
        self.faults: list[FaultSeen] = []
        self.weights: list[Weight] = []
        self._now_s = now_s
        self._lock = threading.Lock()
        self._file = file.open("w")
        self._write({"start_s": self.start_s})

    def __enter__(self) -> "History":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._file.close()

    def now_s(self) -> float:
        return round(self._now_s() - self.start_s, 4)

    def begin(self, call: Call) -> None:
        """Before the first byte is sent."""
        self.calls.append(call)
        self._write({"call": asdict(call)})

    def end(self, call: Call) -> None:
        self._write({"answer": call.trace, **{name: getattr(call, name) for name in _OF_THE_ANSWER}})

    def fault(self, seen: FaultSeen) -> None:
        self.faults.append(seen)
        self._write({"fault": asdict(seen)})

    def weight(self, weight: Weight) -> None:
        self.weights.append(weight)
        self._write({"weight": asdict(weight)})

    def _write(self, line: dict[str, Any]) -> None:
        text = json.dumps(line, separators=(",", ":"))
        with self._lock:
            self._file.write(text + "\n")
