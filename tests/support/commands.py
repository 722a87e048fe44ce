"""Runs `orders` commands as a person or a script does."""

import os
import subprocess
import sys
from dataclasses import dataclass

from typer.testing import CliRunner

from contracts.errors import OrdersError
from deploy import console
from deploy.cli import app
from support.private_logs import require_private
from support.waiting import HANG_S


def orders(
    *arguments: str, env: dict[str, str] | None = None, debug: bool = False, answer: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Types `answer`."""
    environment = {**os.environ, **(env or {}), **({"ORDERS_DEBUG": "1"} if debug else {}), "COLUMNS": "200"}
    command = [sys.executable, "-W", "error", "-m", "deploy", *arguments]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=HANG_S, input=answer
    )
    require_private(done.stderr.encode(), f"stderr of {arguments}")
    return done


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def orders_here(*arguments: str, env: dict[str, str], answer: str = "") -> Done:
    """Runs the command inside this process, which saves the time of a start."""
    console.out.width = 200  # read from the environment when it was made
    result = CliRunner().invoke(app, arguments, input=answer, env=env)
    if result.exception is not None and not isinstance(result.exception, SystemExit | OrdersError):
        raise result.exception
    told = f"{result.exception}" if isinstance(result.exception, OrdersError) else ""
    return Done(result.exit_code, result.stdout, result.stderr + told)
