"""Counts work: the same figures on every machine, however busy it is. A measured time would say little."""

import gc
import math
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any

from psycopg.pq import Trace

import consumer
import contracts
import deploy
import ingress
from consumer.postgres.connection import Connection

# Postgres: what goes over the wire, from libpq's trace.

_MESSAGE = re.compile(rb"([FB])\t([0-9]+)\t([A-Za-z]+)(.*)")
_QUERY = re.compile(r'\s*(?:"([^"]*)" )?"(.*)"')
_ASKS = {"Sync", "Query", "CopyDone"}
"""The server answers after these, and after a Flush behind a statement. Nobody waits for what it sends earlier."""


@dataclass
class Traffic:
    """`trips`: the statements that were sent before each wait for the server."""

    trips: list[list[str]] = field(default_factory=list)
    sent_bytes: int = 0
    received_bytes: int = 0

    @property
    def statements(self) -> int:
        return sum(map(len, self.trips))

    def __str__(self) -> str:
        return "\n".join(f"  {' | '.join(text[:50] for text in trip) or '(data or Sync)'}" for trip in self.trips)


class Wire:
    """One connection, traced from now on. `trace` is a file that stays open as long as the connection."""

    def __init__(self, connection: Connection, trace: IO[bytes]) -> None:
        self._connection = connection.pgconn
        self._fd = trace.fileno()
        self._read_bytes = 0
        self._prepared: dict[str, str] = {}
        self._trace()

    def _trace(self) -> None:
        self._connection.trace(self._fd)
        self._connection.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)

    def read(self) -> Traffic:
        """What was sent and received since the last call."""
        self._connection.untrace()  # libpq has a buffer, and empties it when it sends and when it ends
        self._trace()
        written = os.pread(self._fd, os.fstat(self._fd).st_size - self._read_bytes, self._read_bytes)
        self._read_bytes += len(written)
        traffic, statements, asked, bound = Traffic(), list[str](), False, ""
        for line in written.splitlines():
            message = _MESSAGE.match(line)
            if message is None:
                continue  # the rest of a text with line feeds in it
            sender, kind, about = message[1], message[3].decode(), message[4].decode(errors="replace")
            length = int(message[2]) + 1  # the kind is a byte of its own
            if sender == b"B":
                traffic.received_bytes += length
                if asked:
                    traffic.trips.append(statements)
                    statements, asked = [], False
                continue
            if kind == "Flush":  # how many of them psycopg sends depends on how long it waits
                asked = asked or bool(statements)
                continue
            traffic.sent_bytes += length
            asked = asked or kind in _ASKS
            named = _QUERY.match(about)
            if kind == "Parse" and named:
                self._prepared[named[1]] = named[2]
            elif kind == "Bind":  # the names of the portal and of the statement
                bound = self._prepared[about.split('"')[3]]
            elif kind == "Execute":
                statements.append(bound)
            elif kind == "Query" and named:
                statements.append(named[2])
        return traffic


def wal_of(connection: Connection) -> Counter[str]:
    """The WAL bytes that this session alone has written until now."""
    connection.execute("SELECT pg_stat_force_next_flush()")
    written: Any = connection.execute(
        "SELECT wal_fpi, wal_bytes::bigint FROM pg_stat_get_backend_wal(pg_backend_pid())"
    ).fetchone()
    return Counter(dict(zip(("full_pages", "bytes"), written, strict=True)))


# Python: calls, because instructions differ from build to build.

_SOURCES = tuple(str(Path(*package.__path__)) for package in (contracts, ingress, consumer, deploy))


@dataclass
class Calls:
    count: int = 0


@contextmanager
def calls() -> Iterator[Calls]:
    """Counts, in this thread, calls of our functions and their calls of other functions, in Python and in C.

    What those do inside is not counted: of an event loop or a driver it depends on how long something took.
    """
    counted = Calls()
    is_ours: dict[str, bool] = {}

    def ours(frame: FrameType | None) -> bool:
        if frame is None:
            return False
        name = frame.f_code.co_filename
        if name not in is_ours:
            is_ours[name] = name.startswith(_SOURCES)
        return is_ours[name]

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if event == "c_call":
            counted.count += ours(frame)
        elif event == "call":
            counted.count += ours(frame) or ours(frame.f_back)

    before = sys.getprofile()
    gc.disable()  # its finalizers would run, and be counted, wherever we are
    sys.setprofile(profile)
    try:
        yield counted
    finally:
        sys.setprofile(before)
        gc.enable()


# Kafka


def record_bytes(key: bytes | None, value: bytes | None, headers: Any) -> int:
    """Of one record, as it is before compression, and without Kafka's own framing. `headers`: names and values."""
    return len(key or b"") + len(value or b"") + sum(len(name) + len(text or b"") for name, text in headers or ())


# Tables of figures

PYTHON = (3, 11)
"""The Python version of the figures in the tables. Others count differently: 3.12 has no call for a comprehension."""
BETTER = 0.95
"""Below this share of an upper limit the code became cheaper, and the table must say so."""
_ALIKE = {"memory_bytes_per_order": 1.01, "wal_bytes_per_order": 1.03}
"""How much runs of the same code may differ. All other figures are equal to the last digit."""
_EXACT = "statements", "round_trips", "messages", "hand_overs"
_OF_PYTHON = "calls", "memory"

Figures = dict[str, dict[str, float]]
"""By line and column."""


def parse_table(text: str) -> tuple[Figures, str]:
    """The title, and the columns: two or more blanks apart, with names and units in the first line."""
    (title, *names), *lines = (re.split(r"\s{2,}", line.strip()) for line in text.strip().splitlines())
    return {line: dict(zip(names, map(float, figures), strict=True)) for line, *figures in lines}, title


def format_table(title: str, figures: Figures) -> str:
    """As `parse_table` reads it."""
    names = list(next(iter(figures.values())))
    width = max(map(len, [title, *figures]))
    lines = ["  ".join([title.ljust(width), *names])]
    for line, values in figures.items():
        lines.append("  ".join([line.ljust(width), *(f"{_rounded(values[name]):>{len(name)}g}" for name in names)]))
    return "\n".join(lines)


def check(table: str, measured: Figures, explanations: Mapping[str, object] | None = None) -> None:
    """Fails if the table is not what was measured. An explanation is printed with its line.

    Statements, round trips, messages and hand-overs are to be equal, so that what was gained is written down and cannot
    be lost again unseen. The others are upper limits; below BETTER of one is also to be written down.
    """
    expected, title = parse_table(table)
    found = format_table(title, measured)
    sys.stdout.write(f"\n{found}\n")
    told: list[str] = []
    for line, values in measured.items():
        figures = expected.get(line, {})
        changes = [_change(name, figures.get(name), _rounded(value)) for name, value in values.items()]
        told += [f"{line}: {change}" for change in changes if change]
        if any(changes) and explanations:
            told.append(f"{explanations[line]}")
    assert not told, "\n".join(
        [
            "The work for an order has changed:",
            *told,
            "If it grew: a faster way, or the reason in the commit and the new figure in the table.",
            "If it fell: the new figure in the table, so that it cannot grow back unseen. All of it, to be copied:",
            found,
        ]
    )


def _change(name: str, was: float | None, now: float) -> str:
    if was is None:
        return f"{name} is not in the table, is {now:g}"
    if now > was * _ALIKE.get(name, 1):
        return f"{name} GREW from {was:g} to {now:g}"
    may_fall_to = was if name in _EXACT else BETTER * was
    if now < may_fall_to and (sys.version_info[:2] == PYTHON or not name.startswith(_OF_PYTHON)):
        return f"{name} fell from {was:g} to {now:g}"
    return ""


def _rounded(value: float) -> float:
    """Up, to a tenth."""
    return math.ceil(round(10 * value, 6)) / 10
