"""A child process that ends with its parent, writes to a log file, and reports why it died."""

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
                cwd="/" if user else None,  # another user may not enter our current folder
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

    def wait_until(self, ready: Callable[[], bool], timeout_s: float) -> None:
        """Raises StackError if it dies first or is not ready in time."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            if self.exit_code is not None:
                raise self.death()
            if time.monotonic() > deadline:
                raise StackError(f"{self.name} was not ready within {timeout_s:.0f} s.\n{self.last_words()}")
            time.sleep(_PROBE_EVERY_S)

    def death(self) -> StackError:
        """The error to raise after it ended without being stopped."""
        return StackError(f"{self.name} ended by itself ({_how(self.exit_code)}).\n{self.last_words()}")

    def last_words(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            lines = log.read().decode(errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
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
