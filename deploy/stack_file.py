"""The data folder of a local stack: who holds it, and where its parts are."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.errors import StackError

_LOCK, _STACK = "lock", "stack.json"


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Only one stack uses a folder. The kernel gives the lock back when its process ends, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StackError(
            f"The data folder {folder} cannot be used: {error.strerror}. Choose another one with ORDERS_DATA_DIR."
        ) from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(
                f"A stack is running in {folder} already. Stop it (Ctrl-C where it runs), or start this one in another "
                "folder with ORDERS_DATA_DIR."
            ) from None
        yield
    finally:
        with suppress(OSError):
            (folder / _STACK).unlink()
        os.close(lock)


def publish(folder: Path, variables: dict[str, str]) -> None:
    """Lets other commands find the stack; `variables` as they would be set by hand."""
    stack = folder / _STACK
    try:
        stack.touch(mode=0o600)  # a URL may hold a password
        stack.write_text(json.dumps(variables, indent=1))
    except OSError as error:
        raise StackError(f"{stack} cannot be written: {error.strerror}. Remove it and start again.") from None


def find_running_stack(folder: Path) -> dict[str, str]:
    """The variables of the stack that runs in `folder`, empty where none does."""
    try:
        variables = json.loads((folder / _STACK).read_text())
        lock = os.open(folder / _LOCK, os.O_RDWR)
    except (OSError, ValueError):
        return {}
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return {str(name): str(value) for name, value in variables.items()}
    finally:
        os.close(lock)
    return {}
