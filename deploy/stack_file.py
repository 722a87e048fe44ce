"""The data folder of a local stack: the lock of the process that uses it, and the addresses of its servers."""

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
    """Locks the folder for one stack. The kernel releases the lock when the process ends, even after kill -9.

    Raises StackError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StackError(
            f"The data folder {folder} cannot be used: {error.strerror}. Choose another with ORDERS_DATA_DIR."
        ) from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(
                f"A stack is running in {folder} already. Stop it (Ctrl-C in its terminal), or choose another folder "
                "with ORDERS_DATA_DIR."
            ) from None
        yield
    finally:
        with suppress(OSError):
            (folder / _STACK).unlink()
        os.close(lock)


def publish(folder: Path, variables: dict[str, str]) -> None:
    """Lets other commands find the stack. `variables` are the ORDERS_… variables that reach it. Raises StackError."""
    stack = folder / _STACK
    try:
        stack.touch(mode=0o600)  # a URL may contain a password
        stack.write_text(json.dumps(variables, indent=1))
    except OSError as error:
        raise StackError(f"{stack} cannot be written: {error.strerror}. Remove it and start again.") from None


def use_running_stack() -> None:
    """Sets the variables of the stack that runs in the data folder, except those that the environment sets already.

    With ORDERS_SECRETS_DIR it sets none: they would win over the files.
    """
    if "ORDERS_SECRETS_DIR" in os.environ:
        return
    for variable, value in find_running_stack(Path(os.environ.get("ORDERS_DATA_DIR", ".data"))).items():
        os.environ.setdefault(variable, value)


def find_running_stack(folder: Path) -> dict[str, str]:
    """The variables of the stack that runs in `folder`; empty if none runs."""
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
