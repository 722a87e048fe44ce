"""Runs commands and measures them: time, memory, lines, and what posts waited meanwhile."""

import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from support.background import beside
from support.http import Connection
from support.installation import Ingress
from support.orders import an_order

_PAUSE_S = 0.02
_SAMPLE_S = 0.05


@dataclass(frozen=True)
class Figure:
    """`cpu_s`: of the command's processes, not of the servers. `peak_mb`: the most PSS of its processes together.
    `slowest_post_s`: of those that were answered while it ran. `unanswered`: posts that got another status than 200."""

    command: str
    exit_code: int
    seconds: float
    cpu_s: float
    peak_mb: float
    lines: int
    slowest_post_s: float
    posts: int
    unanswered: int

    def as_row(self) -> str:
        slowest = f"{self.slowest_post_s:.2f}" if self.posts else ""
        refused = f" ({self.unanswered} of {self.posts} not 200)" if self.unanswered else ""
        figures = f"{self.seconds:.1f} | {self.cpu_s:.1f} | {self.peak_mb:.0f} | {self.lines:,} | {slowest}{refused}"
        return f"| `{self.command}` | {self.exit_code} | {figures} |"


HEAD = "| command | exit | s | CPU s | MB (PSS) | lines | slowest post, s |\n|---|---|---|---|---|---|---|"


@dataclass
class Posts:
    """What one partner waited who posts one order after the other."""

    waits: list[tuple[float, float, int]] = field(default_factory=list)
    """When each was sent and answered, and its status."""
    is_done: threading.Event = field(default_factory=threading.Event)

    def between(self, first_s: float, last_s: float) -> list[tuple[float, int]]:
        """Waits and statuses of the posts that were on their way in that time; waits for the last one's answer."""
        while not self.is_done.is_set() and not (self.waits and self.waits[-1][0] >= last_s):
            time.sleep(_PAUSE_S)
        return [(end - start, status) for start, end, status in self.waits if end >= first_s and start <= last_s]


@contextmanager
def timed_posting(ingress: Ingress, token: str) -> Iterator[Posts]:
    """New orders, to the end of the block."""
    posts = Posts()

    def post() -> None:
        number = 0
        with closing(Connection(ingress.port)) as connection:
            while not posts.is_done.wait(_PAUSE_S):
                started_s = time.monotonic()
                answer = connection.post(token, [an_order(f"P-{number}")])
                posts.waits.append((started_s, time.monotonic(), answer.status))
                number += 1

    with beside(posts.is_done, post):
        yield posts


def measured(arguments: tuple[str, ...], env: Mapping[str, str], output: Path) -> tuple[int, float]:
    """The exit code of `orders`, and the most memory of its processes together in MB. stdout and stderr go to files."""
    command = [sys.executable, "-m", "deploy", *arguments]
    with output.with_suffix(".out").open("wb") as out, output.with_suffix(".err").open("wb") as err:
        process = subprocess.Popen(command, env={**os.environ, **env}, stdout=out, stderr=err, stdin=subprocess.DEVNULL)
        watched, peak_mb = psutil.Process(process.pid), 0.0
        while process.poll() is None:
            peak_mb = max(peak_mb, sum(map(pss_mb, family(watched))))
            time.sleep(_SAMPLE_S)
    return process.returncode, peak_mb


def cpu_of_children_s() -> float:
    """Of those that have ended. The servers have not."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def pss_mb(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().pss / 1e6)
    except (psutil.NoSuchProcess, psutil.AccessDenied):  # it has just ended
        return 0.0
