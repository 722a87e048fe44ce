"""What every command shares: where it writes, and which installation it talks to."""

import os
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from contracts.settings import PREFIX
from deploy.errors import AbortedError
from deploy.stack_file import find_running_stack

out = Console()
err = Console(stderr=True)


def use_running_stack() -> None:
    """In the folder of a running local stack, what is not set by hand is that stack's."""
    folder = Path(os.environ.get(f"{PREFIX}DATA_DIR", ".data"))
    for variable, value in find_running_stack(folder).items():
        os.environ.setdefault(variable, value)


def progress_bar(*columns: ProgressColumn) -> Progress:
    """A bar on stderr, so that what a program reads from stdout stays clean; none where nobody watches."""
    shown = TextColumn("{task.description}"), BarColumn(), *columns, TimeElapsedColumn(), TimeRemainingColumn()
    return Progress(*shown, console=err, transient=True, disable=not err.is_terminal)


def confirm(question: str, yes: bool) -> None:
    """Asks before something is done that others will notice. Raises AbortedError."""
    if yes:
        return
    if not typer.confirm(question, default=False, err=True):
        raise AbortedError("Nothing was done.")
