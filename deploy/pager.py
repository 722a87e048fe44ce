"""Shows lines in a pager while they are made, as `git log` does. Who leaves the pager ends the making."""

import os
import shlex
import subprocess
from collections.abc import Iterable
from contextlib import suppress

from deploy.console import out

PAGER_DEFAULT = "less"
LESS_DEFAULT = "FRX"
"""Ends by itself if all fits the screen, and leaves it as it is. Used unless LESS is set."""


def page(lines: Iterable[str]) -> None:
    """The pager is $PAGER, or `less`. Without one the lines are printed."""
    environment = {"LESS": LESS_DEFAULT, **os.environ}
    command = shlex.split(os.environ.get("PAGER") or PAGER_DEFAULT)
    try:
        # A program that the person at the terminal names, as for any other command.
        pager = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, env=environment)
    except OSError:
        for line in lines:
            out.print(line, markup=False, highlight=False, soft_wrap=True)
        return
    assert pager.stdin is not None
    try:
        with suppress(BrokenPipeError), pager.stdin as stdin:
            for line in lines:
                stdin.write(f"{line}\n")
                stdin.flush()
    finally:
        _wait(pager)


def _wait(pager: "subprocess.Popen[str]") -> None:
    while True:
        with suppress(KeyboardInterrupt):  # Ctrl-C is for the pager, which has the terminal
            pager.wait()
            return
