"""`orders` in odd shells: outputs that are closed, cut off, full, or not UTF-8, and arguments that are not text."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table

from deploy import console
from support.waiting import HANG_S

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
TABLE = (
    "from deploy.console import out; from rich.table import Table; e = chr(233); t = Table(e + chr(8594)); "
    "t.add_row(e * 300); out.print(t)"
)


LINE = "print(1)"
FILE = "import os; assert os.open(os.devnull, os.O_RDONLY) > 2"
"""A file of ours may not get the number of a stream."""


def run(command: str, **options: Any) -> "subprocess.CompletedProcess[bytes]":
    """In a shell. `ORDERS` is the command; `TABLE`, `LINE` and `FILE` do something within its frame."""
    main = f"{sys.executable} -W error -c 'from deploy.__main__ import main; main()'"
    for name, code in (("TABLE", TABLE), ("LINE", LINE), ("FILE", FILE)):
        framed = f"from deploy import streams; streams.prepare(); {code}; streams.finish()"
        command = command.replace(name, f'{sys.executable} -W error -c "{framed}"')
    env = {name: value for name, value in os.environ.items() if not name.startswith(("ORDERS_", "PYTHON"))}
    return subprocess.run(
        ["bash", "-c", command.replace("ORDERS", main)],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options, "env": {**env, **options.pop("env", {})}},
        check=False,
        timeout=HANG_S,
    )


@pytest.mark.parametrize("env", [ASCII, {"PYTHONIOENCODING": "ascii"}], ids=str)
def test_what_an_output_cannot_show_is_escaped(env: dict[str, str]) -> None:
    done = run("TABLE", env=env)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "é".encode() in done.stdout or b"\\xe9" in done.stdout


@pytest.mark.parametrize("command", ["TABLE", "LINE", "ORDERS --help"])
def test_a_reader_that_ended_is_no_error(command: str) -> None:
    """As `head` does."""
    read, written = os.pipe()
    os.close(read)
    done = run(command, stdout=written)
    os.close(written)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_error(closed: str) -> None:
    done = run(f"TABLE {closed} && LINE {closed} && FILE {closed}")
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is full")
@pytest.mark.parametrize("command", ["ORDERS --help", "LINE"])
def test_a_full_disk_is_told(command: str) -> None:
    done = run(f"{command} > /dev/full")
    assert done.returncode == 1
    assert b"No space left on device" in done.stderr
    assert b"A bug" not in done.stderr


@pytest.mark.parametrize("arguments", [r"history --partner $'a\xe9' x"])
def test_an_argument_that_is_not_text_is_told(arguments: str) -> None:
    done = run(f"ORDERS {arguments}")
    assert done.returncode == 1
    assert b"is not UTF-8" in done.stderr
    assert b"A bug" not in done.stderr


def test_in_a_pipe_a_table_is_not_cut() -> None:
    lines = run("TABLE").stdout.decode().splitlines()
    assert any("é" * 300 in line for line in lines)


def test_an_order_id_that_begins_with_a_dash_is_explained() -> None:
    done = run("ORDERS history -5; ORDERS history --help; ORDERS history --partnr x y", env={"COLUMNS": "300"})
    assert b"orders history -- -5" in done.stderr.split(b"--partnr")[0]
    assert b"orders history -- -5" in done.stdout
    assert b"orders history" not in done.stderr.split(b"--partnr")[1]  # a mistyped option is no order_id


def test_a_console_in_a_pipe_has_room_for_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("x")
    table.add_row("y" * 5000)
    console._console(sys.stdout, stderr=False).print(table)
    assert "y" * 5000 in capsys.readouterr().out
