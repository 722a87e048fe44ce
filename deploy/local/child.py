"""A child process that cannot outlive us, writes to a log file, and says why it died."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.errors import StackError

_PR_SET_PDEATHSIG = 1
_LOG_LINES_SHOWN = 12
_PROBE_EVERY_S = 0.05


class Child:
    """One process, from its start to its end; make a new one to start it again.

    It is the leader of a session of its own, so that a Ctrl-C in the terminal reaches only us, and we stop the
    processes in the right order. On Linux the kernel sends it `stop_signal` when we die, even of kill -9: start it from
    the main thread, because the kernel counts the death of the starting thread.
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
                cwd="/" if user else None,  # another user may not be allowed to stand where we stand
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
        """None while it runs; negative for a signal."""
        return self._process.poll()

    def wait_until(self, ready: Callable[[], bool], timeout_s: float) -> None:
        """Raises StackError when it dies first, or is not ready in time."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            if self.exit_code is not None:
                raise self.death()
            if time.monotonic() > deadline:
                raise StackError(f"{self.name} did not get ready within {timeout_s:.0f} s.\n{self.last_words()}")
            time.sleep(_PROBE_EVERY_S)

    def death(self) -> StackError:
        """How to tell that it ended by itself."""
        return StackError(f"{self.name} ended by itself ({_how(self.exit_code)}).\n{self.last_words()}")

    def last_words(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            lines = log.read().decode(errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
        return "\n".join([f"The end of {self.log}:", *(f"  {line}" for line in lines)])

    def stop(self, timeout_s: float = 15.0) -> None:
        """Asks it to end, and ends it with kill -9 where it does not in time. Harmless when it is gone."""
        if self.exit_code is None:
            self.signal(self._stop_signal)
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """kill -9, for it alone: what it started itself must notice by itself, as in a real crash."""
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
    libc = ctypes.CDLL(None)  # loaded before the fork: after it, only the call itself is safe
    parent = os.getpid()

    def follow() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, stop_signal)
        if os.getppid() != parent:  # it died between the fork and the call
            os._exit(1)

    return follow
