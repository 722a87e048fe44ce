"""What no log may hold: names, addresses, tokens and passwords of the tests. All logs of a run are searched."""

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.local.child import Child
from deploy.logs import make_private

PASSWORD = "Pw7-of-the-tests"
"""In every password of the tests."""
_MARKS = rb"\bAda\b", rb"Main Street 1", rb"\[email", PASSWORD.encode()
"""Of the orders that `support.orders` makes, and of the published sample."""
_OPEN = {"orders up"}
"""It shows the published sample, to try it."""
SECRETS: set[bytes] = set()
"""The tokens that were made."""


def keep_secret(token: str) -> str:
    """From now on, no log may hold the token, or the part of it that is not its key id."""
    SECRETS.add(token.rpartition("_")[2].encode())
    return token


def require_private(text: bytes, where: object) -> None:
    """Raises AssertionError with the first line that holds something private."""
    marks = b"|".join([*_MARKS, *map(re.escape, SECRETS)])
    if found := re.search(rb"[^\n]*(?:" + marks + rb")[^\n]*", text):
        raise AssertionError(f"{where} holds something private: {found[0].decode(errors='replace')}")


@contextmanager
def watched(folder: Path, others: Iterable[str], logger: logging.Logger) -> Iterator[None]:
    """Notes the log of every child process, and what this process logs to `logger`. Searches all of them at the end.

    `others`: patterns of logs below `folder` that processes of processes write.
    """
    logs: dict[Path, str] = {}
    start = Child.__init__

    def noted(self: Child, name: str, command: Any, log: Path, **options: Any) -> None:
        logs[log] = name
        start(self, name, command, log, **options)

    own = folder / "tests.log"
    handler = make_private(logging.FileHandler(own))
    logger.addHandler(handler)
    Child.__init__ = noted  # type: ignore[method-assign]
    yield
    Child.__init__ = start  # type: ignore[method-assign]
    logger.removeHandler(handler)
    handler.close()
    logs.update({log: "other" for pattern in others for log in folder.glob(pattern)} | {own: "tests"})
    for log, name in logs.items():
        if name not in _OPEN and log.exists():
            require_private(log.read_bytes(), log)
