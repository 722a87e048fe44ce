"""The `orders` command: its processes, its groups of commands, and what it does with an error.

Every start imports this module, so it imports only what each command needs. A command imports the rest in its body.
"""

import logging
import os
import sys
from typing import Annotated

import typer

from contracts.errors import OrdersError
from deploy.logs import log_to_stderr
from deploy.signatures import dlq, partners
from deploy.signatures.history import HistoryCommand, history
from deploy.signatures.replay import replay
from deploy.signatures.reseed import reseed
from deploy.signatures.security import acls, doctor
from deploy.stack_file import use_running_stack
from deploy.traces import place_of, text_of, trace_of

app = typer.Typer(
    help="Order batches over HTTP, through Kafka, into Postgres. Settings: the ORDERS_ variables of docs/operating.md.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.command()
def up() -> None:
    """Start the whole system on this machine. Ctrl-C stops it."""
    from contracts.settings import load
    from deploy.console import out
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
    # The supervisor of several workers sets the hidden options: see ingress.supervisor.Inherited.
    from consumer.postgres.ledger_reader import PostgresLedgerReader
    from consumer.settings import OptionalPostgresSettings, current_url
    from contracts.ledger_reader import NoLedger
    from contracts.settings import load
    from deploy.kafka_settings import load_kafka
    from deploy.metrics_port import metrics_port, metrics_port_of_workers
    from ingress.metrics import IngressMetrics
    from ingress.server import serve
    from ingress.settings import IngressSettings
    from ingress.supervisor import Inherited

    log_to_stderr()
    use_running_stack()
    settings = load_kafka(IngressSettings, workers=workers)
    postgres_url = load(OptionalPostgresSettings).postgres_url
    ledger = NoLedger() if postgres_url is None else PostgresLedgerReader(current_url(postgres_url))
    inherited = None if listen_fd is None or supervisor_pid is None else Inherited(listen_fd, supervisor_pid)
    if inherited is not None:  # its supervisor has the port
        serve(settings, ledger, inherited)
    elif settings.workers > 1:
        with metrics_port_of_workers(settings) as on_worker_end:
            serve(settings, ledger, on_worker_end=on_worker_end)
    else:
        metrics = IngressMetrics()
        with metrics_port(settings, metrics.registry):
            serve(settings, ledger, metrics=metrics)


@app.command()
def consumer() -> None:
    """Apply orders to Postgres, until SIGTERM. Start as many as you like."""
    from consumer.app import run
    from consumer.metrics import ConsumerMetrics
    from consumer.settings import ConsumerSettings
    from consumer.vitals import Vitals
    from deploy.health_pages import pages_of
    from deploy.health_port import health_port
    from deploy.kafka_settings import load_kafka
    from deploy.metrics_port import metrics_port

    log_to_stderr()
    use_running_stack()
    settings, vitals, metrics = load_kafka(ConsumerSettings), Vitals(), ConsumerMetrics()
    with (
        health_port(settings.health_host, settings.health_port, pages_of(vitals)),
        metrics_port(settings, metrics.registry, metrics.refresh),
    ):
        run(settings, vitals, metrics)


@app.command()
def alive() -> None:
    """Ask the ingress or consumer of this container whether it is alive. Exit code 1 if not."""
    from deploy.commands.alive import alive as ask

    ask(os.environ)


@app.command()
def setup() -> None:
    """Make the topics and tables that are missing. You can run it again at any time."""
    from deploy.console import out
    from deploy.kafka_settings import load_kafka
    from deploy.setup import SetupSettings, mend_tables, set_up_tables, set_up_topics

    use_running_stack()
    settings = load_kafka(SetupSettings)
    for topic in set_up_topics(settings, settings.replication_factor):
        out.print(f"made topic {topic}")
    for migration in set_up_tables(settings):
        out.print(f"applied migration {migration}")
    for warning in mend_tables(settings):
        out.print(warning, style="yellow", markup=False, highlight=False, soft_wrap=True)
    out.print("Topics and tables are as they should be.")


app.add_typer(partners.app, name="partners")
app.command(cls=HistoryCommand)(history)
app.add_typer(dlq.app, name="dlq")
app.command()(replay)
app.command()(reseed)
app.command()(doctor)
app.command()(acls)


def main() -> None:
    """A known error prints its text and gives exit code 1. ORDERS_DEBUG=1 shows the stack trace instead."""
    debug = os.environ.get("ORDERS_DEBUG", "") not in ("", "0")
    if not debug:  # what a library would log is in the error that a command ends with
        logging.getLogger().addHandler(logging.NullHandler())
    try:
        app()
    except Exception as error:  # noqa: BLE001 - each is told
        _end_with(trace_of(error) if debug else _about(error))


def _about(error: Exception) -> str:
    """What a person is told. An error of Kafka's client is not a bug of ours."""
    if isinstance(error, OrdersError):
        return str(error)
    if isinstance(error, OSError):
        return f"The operating system says: {error}\nCheck the disk, the rights, and where the output goes."
    kafka = sys.modules.get("confluent_kafka")
    if kafka is not None and isinstance(error, kafka.KafkaException):
        return (
            f"Kafka: {error.args[0].str()}\nCheck ORDERS_KAFKA_BOOTSTRAP and ORDERS_KAFKA_PROPERTIES, and that the "
            "broker runs."
        )
    return (
        f"A bug: {type(error).__name__} at {place_of(error)}: {text_of(error)}\nFor the stack trace, set ORDERS_DEBUG=1"
    )


def _end_with(text: str) -> None:
    from deploy.console import err

    err.print(text, style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(1)
