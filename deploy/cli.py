"""The `orders` command."""

import logging
import os
import secrets
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from contracts.errors import OrdersError
from contracts.settings import PREFIX, KafkaSettings, load
from deploy.admin import load_kafka
from deploy.commands import dlq
from deploy.commands.history import history
from deploy.commands.replay import replay
from deploy.console import err, out, use_running_stack
from deploy.logs import log_to_stderr
from deploy.partners import PartnerRegistry

app = typer.Typer(
    help="Order batches over HTTP, through Kafka, into Postgres. Settings are ORDERS_... variables: see README.md.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
partners_app = typer.Typer(help="Who may post orders, and with which tokens.", no_args_is_help=True)
app.add_typer(partners_app, name="partners")
app.add_typer(dlq.app, name="dlq")
app.command()(history)
app.command()(replay)


@app.command()
def up() -> None:
    """Start the whole system on this machine; Ctrl-C stops it."""
    from deploy.up import UpSettings
    from deploy.up import up as run_up

    run_up(load(UpSettings), out)


@app.command()
def ingress(
    workers: Annotated[int | None, typer.Option(help="Processes that share the port.", show_default="1")] = None,
    listen_fd: Annotated[int | None, typer.Option(hidden=True)] = None,
    supervisor_pid: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Take orders over HTTP, until SIGTERM."""
    # The supervisor of several workers sets the hidden options: see ingress.server.Inherited.
    from consumer.postgres.ledger_reader import PostgresLedgerReader
    from consumer.settings import OptionalPostgresSettings
    from contracts.ledger_reader import NoLedger
    from ingress.server import Inherited, serve
    from ingress.settings import IngressSettings

    log_to_stderr()
    use_running_stack()
    settings = load_kafka(IngressSettings, workers=workers)
    postgres_url = load(OptionalPostgresSettings).postgres_url
    ledger = NoLedger() if postgres_url is None else PostgresLedgerReader(postgres_url)
    inherited = None if listen_fd is None or supervisor_pid is None else Inherited(listen_fd, supervisor_pid)
    serve(settings, ledger, inherited)


@app.command()
def consumer() -> None:
    """Apply orders to Postgres, until SIGTERM; start as many as you like."""
    from consumer.app import run
    from consumer.settings import ConsumerSettings

    log_to_stderr()
    use_running_stack()
    run(load_kafka(ConsumerSettings))


@app.command()
def setup() -> None:
    """Make the topics and tables that are missing; can be run again at any time."""
    from deploy.setup import SetupSettings, set_up_tables, set_up_topics

    use_running_stack()
    settings = load_kafka(SetupSettings)
    for topic in set_up_topics(settings, settings.replication_factor):
        out.print(f"made topic {topic}")
    for migration in set_up_tables(settings):
        out.print(f"applied migration {migration}")
    out.print("Topics and tables are as they should be.")


@partners_app.command("add")
def partners_add(
    name: Annotated[str, typer.Argument(help="Letters a-z, digits, dashes.")],
    orders_per_s: Annotated[
        int | None,
        typer.Option(min=1, help="Rate limit in orders a second, for each ingress process.", show_default="no limit"),
    ] = None,
) -> None:
    """Add a partner and print the token, once."""
    _show_token(_registry().add(name, orders_per_s))


@partners_app.command("list")
def partners_list() -> None:
    """Show partners, their limits and their tokens' key ids."""
    table = Table("partner", "orders/s", "key id", "token", "since")
    for partner in _registry().all():
        rate = "no limit" if partner.orders_per_s is None else str(partner.orders_per_s)
        for token in partner.tokens:
            table.add_row(partner.partner_id, rate, token.key_id, token.status, f"{token.created:%Y-%m-%d %H:%M} UTC")
    out.print(table)


@partners_app.command("rotate")
def partners_rotate(name: str) -> None:
    """Print a new token; the old one stays valid until it is revoked."""
    _show_token(_registry().rotate(name))


@partners_app.command("revoke")
def partners_revoke(
    name: str, key_id: Annotated[str, typer.Argument(help="Of the token, as `orders partners list` shows it.")]
) -> None:
    """End a token; every ingress follows within 2 seconds."""
    _registry().revoke(name, key_id)
    out.print(f"Token {key_id} of {name} is revoked.")


def main() -> None:
    """Every error that we know ends in a sentence and exit code 1; a stack trace is for those who ask."""
    debug = os.environ.get(f"{PREFIX}DEBUG", "") not in ("", "0")
    if not debug:  # what a library would log is in the error that a command ends with
        logging.getLogger().addHandler(logging.NullHandler())
    try:
        app()
    except OrdersError as error:
        if debug:
            raise
        err.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except Exception as error:
        if debug:
            raise
        err.print(
            f"A bug: {type(error).__name__}: {error}\nFor the stack trace, set {PREFIX}DEBUG=1",
            style="red",
            markup=False,
            soft_wrap=True,
        )
        sys.exit(1)


def _registry() -> PartnerRegistry:
    use_running_stack()
    return PartnerRegistry(load_kafka(KafkaSettings), lambda: datetime.now(UTC), secrets.choice)


def _show_token(token: str) -> None:
    print(token)  # noqa: T201 - alone on stdout, so that a script can take it
    err.print("This token is shown only now: give it to the partner over a safe way.")
