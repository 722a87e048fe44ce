"""A command imports only what it runs. Modules are counted, not seconds."""

import json
import os
import subprocess
import sys

CLIENTS = {"confluent_kafka", "psycopg", "psycopg_pool", "tenacity", "asyncio"}
MODELS = {"pydantic", "pydantic_core", "pydantic_settings", "msgspec"}
SERVER = {"fastapi", "starlette", "uvicorn", "httptools", "uvloop"}
TERMINAL = {"rich.console", "rich.table", "rich.progress"}
HELP_MODULES_MAX = 400
"""`orders --help` loads 340, nearly all of them for typer and rich. It was 710 when it imported every command."""

PROBE = """
import json, sys
from contracts.errors import OrdersError
from deploy.cli import app
ended = []
for arguments in json.loads(sys.argv[1]):
    try:
        app(arguments)
    except SystemExit as end:
        ended.append(f"exit {end.code}")
    except OrdersError as error:
        ended.append(type(error).__name__)
print(json.dumps([ended, sorted(sys.modules)]), file=sys.stderr)
"""


def imported(*commands: str) -> tuple[list[str], set[str]]:
    """How these `orders` commands end without any setting, and the modules that their process has loaded then."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("ORDERS_")}
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps([command.split() for command in commands])],
        env={**env, "ORDERS_DATA_DIR": "/nonexistent"},
        capture_output=True,
        text=True,
        check=True,
    )
    ended, modules = json.loads(done.stderr.splitlines()[-1])
    return ended, set(modules)


def test_help_imports_no_client_no_model_and_no_process() -> None:
    ended, modules = imported("--help")
    assert ended == ["exit 0"]
    assert modules & (CLIENTS | MODELS | SERVER | {"ingress", "consumer", "deploy.commands"}) == set()
    assert len(modules) <= HELP_MODULES_MAX


def test_the_help_of_a_command_does_not_import_what_it_runs() -> None:
    names = ["up", "ingress", "consumer", "setup", "history", "replay", "dlq redrive", "partners add"]
    ended, modules = imported(*(f"{name} --help" for name in names))
    assert ended == ["exit 0"] * len(names)
    # typer itself reads arguments with pydantic
    assert modules & (CLIENTS | SERVER | {"pydantic_settings", "ingress", "consumer", "deploy.commands"}) == set()


def test_what_a_container_runs_every_few_seconds_imports_no_client_and_no_settings() -> None:
    ended, modules = imported("alive")
    assert ended == ["NotAliveError"]
    assert modules & (CLIENTS | SERVER | {"pydantic_settings", "ingress", "consumer", "deploy.console"}) == set()


def test_a_consumer_imports_no_server_no_terminal_and_no_repair() -> None:
    ended, modules = imported("consumer")
    assert ended == ["SettingsError"]
    assert "consumer.applier" in modules
    assert modules & (SERVER | TERMINAL | {"ingress", "consumer.replay", "deploy.commands"}) == set()


def test_an_ingress_imports_no_terminal_and_of_the_consumer_only_what_reads_tables() -> None:
    ended, modules = imported("ingress")
    assert ended == ["SettingsError"]
    assert "ingress.app" in modules
    assert modules & (TERMINAL | {"tenacity", "deploy.commands"}) == set()
    assert {name for name in modules if name.startswith("consumer")} <= {
        "consumer",
        "consumer.core",
        "consumer.core.foretell",
        "consumer.core.hashing",
        "consumer.postgres",
        "consumer.postgres.conninfo",
        "consumer.postgres.describe",
        "consumer.postgres.ledger_reader",
        "consumer.postgres.own_requests",
        "consumer.settings",
    }
