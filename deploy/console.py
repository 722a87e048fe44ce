"""The terminal: where commands write, show progress and ask."""

import sys
from typing import TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from deploy.errors import AbortedError

_PIPE_COLUMNS = 10_000
"""In a pipe nothing is cut or folded: what reads it knows no columns."""


def _console(file: TextIO | None, *, stderr: bool) -> Console:
    is_terminal = file is not None and file.isatty()
    return Console(stderr=stderr, width=None if is_terminal else _PIPE_COLUMNS)


out = _console(sys.stdout, stderr=False)
err = _console(sys.stderr, stderr=True)


def progress_bar(*columns: ProgressColumn) -> Progress:
    """A bar on stderr, so that stdout holds only what a program reads. No bar if stderr is not a terminal."""
    shown = TextColumn("{task.description}"), BarColumn(), *columns, TimeElapsedColumn(), TimeRemainingColumn()
    return Progress(*shown, console=err, transient=True, disable=not err.is_terminal)


def confirm(question: str, yes: bool) -> None:
    """Asks before a change that others notice, unless `yes`. Raises AbortedError."""
    if yes:
        return
    if not typer.confirm(question, default=False, err=True):
        raise AbortedError("Nothing was done.")
