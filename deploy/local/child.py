"""A child process that ends with its parent, writes to a log file, and reports why it died."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.errors import StackError

_PR_SET_PDEATHSIG = 1
_LOG_LINES_SHOWN = 12
_LOG_BYTES_READ = 1 << 20
_LACKING = re.compile(
    "No space left|Permission denied|AccessDenied|Too many open files|Read-only file system|already in use|OutOfMemory"
)
_PROBE_EVERY_S = 0.05
START_TIMEOUT_S = 300.0
PATIENCE = 10.0
"""A part of the stack that makes progress has so many times START_TIMEOUT_S to get ready."""
PROBE_TIMEOUT_S = 10.0
"""For an answer to the question whether a part is ready."""


class Child:
    """One process, from its start to its end. To start it again, create a new Child.

    It leads a session of its own, so Ctrl-C in the terminal reaches only the parent, which stops its children in the
    right order. On Linux the kernel sends the child `stop_signal` when the parent dies, even by kill -9. Start it from
    the main thread: the kernel sends the signal when the thread that started the child ends.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        *,
        stop_signal: signal.Signals = signal.SIGTERM,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._stop_signal = stop_signal
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._log_start = output.tell()
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if env is None else {**os.environ, **env},
                cwd="/" if user else cwd,  # another user may not enter our current folder
                user=user,
                group=user,
                extra_groups=[] if user else None,
                start_new_session=True,
                preexec_fn=_follow_parent(stop_signal),
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs. Minus the number of the signal that ended it, as `subprocess` has it."""
        return self._process.poll()

    def wait_until(self, ready: Callable[[], bool], timeout_s: float, *, patience: float = 1) -> None:
        """Raises StackError if it dies first or is not ready in time.

        With `patience`, it has that many times as long, if it makes progress in each `timeout_s`: a slow machine is
        waited for, and what hangs is not.
        """
        begun_s = started_s = time.monotonic()
        work = self._work()
        while not ready():
            if self.exit_code is not None:
                raise self.death()
            if (now_s := time.monotonic()) > begun_s + timeout_s:
                before, work = work, self._work()
                if now_s > started_s + timeout_s * patience or work == before:
                    how = f"within {now_s - started_s:.0f} s" + (" and makes no progress" if work == before else "")
                    raise StackError(f"{self.name} was not ready {how}.\n{self.last_words()}")
                begun_s = now_s
            time.sleep(_PROBE_EVERY_S)

    def _work(self) -> tuple[int, int]:
        """What it has done so far: bytes of its log, and seconds of CPU time."""
        try:
            times = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
            cpu_s = sum(map(int, times)) // os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError):
            cpu_s = 0  # no /proc: the log alone tells
        return self.log.stat().st_size, cpu_s

    def death(self) -> StackError:
        """The error to raise after it ended without being stopped."""
        return StackError(f"{self.name} ended by itself ({_how(self.exit_code)}).\n{self.last_words()}")

    def written(self) -> str:
        """The end of what it has logged since its start."""
        with self.log.open("rb") as log:
            log.seek(max(self._log_start, log.seek(0, os.SEEK_END) - _LOG_BYTES_READ))
            return log.read().decode(errors="replace")

    def shows(self, damage: re.Pattern[str]) -> bool:
        """Whether its log shows that its data is damaged, and not that the machine lacks something."""
        written = self.written()
        return damage.search(written) is not None and _LACKING.search(written) is None

    def last_words(self) -> str:
        lines = self.written().splitlines()[-_LOG_LINES_SHOWN:]
        return "\n".join([f"The end of {self.log}:", *(f"  {line}" for line in lines)])

    def stop(self, timeout_s: float = 15.0) -> None:
        """Sends the stop signal, and kill -9 if it does not end in time. Does nothing if it has ended."""
        if self.exit_code is None:
            self.signal(self._stop_signal)
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """kill -9 for this process only. Its own children must notice by themselves, as in a real crash."""
        self._process.kill()
        self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)


def _how(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return signal.Signals(-exit_code).name
    return f"exit code {exit_code}"


def _follow_parent(stop_signal: signal.Signals) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)  # loaded before the fork, because after it only the call itself is safe
    parent = os.getpid()

    def follow() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, stop_signal)
        if os.getppid() != parent:  # the parent died between the fork and the call
            os._exit(1)

    return follow
