"""Running `orders` commands as a person or a script does."""

import os
import subprocess
import sys


def orders(
    *arguments: str, env: dict[str, str] | None = None, debug: bool = False, answer: str = ""
) -> "subprocess.CompletedProcess[str]":
    """`answer` is what is typed."""
    environment = {**os.environ, **(env or {}), **({"ORDERS_DEBUG": "1"} if debug else {}), "COLUMNS": "200"}
    command = [sys.executable, "-W", "error", "-m", "order_upsert", *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=60, input=answer
    )
