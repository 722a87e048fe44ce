"""`orders up`: runs the whole system on this machine, until Ctrl-C."""

import json
import os
import secrets
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import Field
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from consumer.postgres.conninfo import place_of
from consumer.settings import PostgresSettings
from contracts.settings import PREFIX, KafkaSettings, OrdersSettings, PortNumber, load
from deploy import stack_file
from deploy.errors import StackError
from deploy.kafka_settings import load_kafka
from deploy.local.child import PATIENCE, PROBE_TIMEOUT_S, START_TIMEOUT_S, Child
from deploy.local.java import class_path
from deploy.local.kafka import KafkaBroker
from deploy.local.ports import LOOPBACK, WantedPort, require_free
from deploy.local.postgres import PostgresServer
from deploy.partners import PartnerRegistry
from deploy.sample import DEMO_PARTNER, DEMO_TOKEN, curl
from deploy.setup import set_up_tables, set_up_topics
from ingress.settings import Host, Port

_WATCH_EVERY_S = 0.2
_STEPS = 6
_ENDING = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


class UpSettings(OrdersSettings):
    """Settings of `orders up`. It starts no Kafka or Postgres of its own if you name one."""

    host: Host = LOOPBACK
    port: Port = 8000
    data_dir: Annotated[Path, Field(description="the folder for data and logs")] = Path(".data")
    local_kafka_port: Annotated[PortNumber, Field(description="a port for Kafka, 1 to 65535")] = 19092
    local_postgres_port: Annotated[PortNumber, Field(description="a port for Postgres, 1 to 65535")] = 15432
    local_ingress_metrics_port: Annotated[
        PortNumber, Field(description="a port for the metrics of the ingress, 1 to 65535")
    ] = 9464
    local_consumer_metrics_port: Annotated[
        PortNumber, Field(description="a port for the metrics of the consumer, 1 to 65535")
    ] = 9465
    kafka_bootstrap: Annotated[str | None, Field(description="host:port of a broker of your own")] = None
    postgres_url: Annotated[
        str | None, Field(description="postgresql://user:password@host:port/database", repr=False)
    ] = None


def up(settings: UpSettings, console: Console) -> None:
    """Runs until Ctrl-C, SIGTERM or SIGHUP. Raises StackError if a process dies or cannot start."""
    for number in _ENDING:  # SIGINT too: a shell starts background jobs with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    folder = settings.data_dir.resolve()
    try:
        with stack_file.hold(folder), ExitStack() as running:
            running.callback(_ignore_signals)
            children = _start(settings, folder, console, running)
            _watch(children)
    except KeyboardInterrupt:
        console.print(f"Stopped. The data stays in {folder}", markup=False, highlight=False, soft_wrap=True)


def _ignore_signals() -> None:
    """So that a second Ctrl-C leaves no process behind."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


def _start(settings: UpSettings, folder: Path, console: Console, running: ExitStack) -> list[Child]:
    children: list[Child] = []
    columns = SpinnerColumn(), BarColumn(bar_width=20), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=_STEPS)

        @contextmanager
        def step(description: str) -> Iterator[None]:
            progress.update(task, description=description)
            yield
            progress.advance(task)

        require_free(_wanted_ports(settings))
        bootstrap, postgres_url = settings.kafka_bootstrap, settings.postgres_url
        if postgres_url is None:
            with step("Postgres"):
                postgres = PostgresServer(folder / "postgres", settings.local_postgres_port)
                running.callback(postgres.stop)
                postgres.start()
                postgres_url = postgres.url()
                children.append(postgres.child)
        if bootstrap is None:
            with step("Kafka: jars (44 MB from Maven Central, the first time only)"):
                class_path()
            with step("Kafka"):
                kafka = KafkaBroker(folder / "kafka", settings.local_kafka_port, lives_long=True)
                running.callback(kafka.stop)
                kafka.start()
                bootstrap = kafka.bootstrap
                children.append(kafka.child)
        variables = {f"{PREFIX}KAFKA_BOOTSTRAP": bootstrap, f"{PREFIX}POSTGRES_URL": postgres_url}
        with step("Topics, tables, demo partner"):
            os.environ.update(variables)  # for the children too
            kafka_settings = load_kafka(KafkaSettings)
            set_up_topics(kafka_settings, None)
            set_up_tables(load(PostgresSettings))
            if settings.kafka_bootstrap is None:
                _add_demo_partner(kafka_settings)
        with step("Consumer"):
            consumer = _start_command("consumer", folder, settings.local_consumer_metrics_port)
            running.callback(consumer.stop)
            children.append(consumer)
        with step("Ingress"):
            ingress = _start_command("ingress", folder, settings.local_ingress_metrics_port)
            running.callback(ingress.stop)
            children.append(ingress)
            ingress.wait_until(lambda: _is_ready(settings, children), START_TIMEOUT_S, patience=PATIENCE)
    stack_file.publish(folder, {**variables, **_chosen()})
    _show(settings, folder, variables, console)
    return children


def _wanted_ports(settings: UpSettings) -> list[WantedPort]:
    """Of all parts that are started here."""
    wanted = [WantedPort(settings.port, settings.host, "the ingress", f"{PREFIX}PORT")]
    for name, port in _metrics_ports(settings).items():
        variable = f"{PREFIX}LOCAL_{name.upper()}_METRICS_PORT"
        wanted.append(WantedPort(port, LOOPBACK, f"the metrics of the {name}", variable))
    if settings.postgres_url is None:
        wanted.append(WantedPort(settings.local_postgres_port, LOOPBACK, "Postgres", f"{PREFIX}LOCAL_POSTGRES_PORT"))
    if settings.kafka_bootstrap is None:
        wanted.append(WantedPort(settings.local_kafka_port, LOOPBACK, "Kafka", f"{PREFIX}LOCAL_KAFKA_PORT"))
    return wanted


def _metrics_ports(settings: UpSettings) -> dict[str, int]:
    return {"ingress": settings.local_ingress_metrics_port, "consumer": settings.local_consumer_metrics_port}


def _chosen() -> dict[str, str]:
    """The other variables that a command needs to find the same topics."""
    names = [f"{PREFIX}TOPIC_PREFIX", f"{PREFIX}KAFKA_PROPERTIES"]
    return {name: os.environ[name] for name in names if name in os.environ}


def _start_command(name: str, folder: Path, metrics_port: int) -> Child:
    metrics = {f"{PREFIX}METRICS_PORT": str(metrics_port), f"{PREFIX}METRICS_HOST": LOOPBACK}
    return Child(name, [sys.executable, "-m", "deploy", name], folder / "logs" / f"{name}.log", env=metrics)


def _add_demo_partner(settings: KafkaSettings) -> None:
    registry = PartnerRegistry(settings, lambda: datetime.now(UTC), secrets.choice)
    if DEMO_PARTNER not in [partner.partner_id for partner in registry.all()]:
        registry.add(DEMO_PARTNER, token=DEMO_TOKEN)


def _base_url(settings: UpSettings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)
    return f"http://{host}:{settings.port}"


def _is_ready(settings: UpSettings, children: list[Child]) -> bool:
    """Raises StackError if a part has died, because then it never will be."""
    _require_alive(children)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever HTTP_PROXY says
    try:
        with direct.open(f"{_base_url(settings)}/readyz", timeout=PROBE_TIMEOUT_S) as answer:
            return all(json.load(answer).values())
    except (urllib.error.URLError, OSError):
        return False


def _watch(children: list[Child]) -> None:
    while True:
        _require_alive(children)
        time.sleep(_WATCH_EVERY_S)


def _require_alive(children: list[Child]) -> None:
    for child in children:
        if child.exit_code is not None:
            raise StackError(f"{child.death()}\nThe stack was stopped.")


def _show(settings: UpSettings, folder: Path, variables: dict[str, str], console: Console) -> None:
    base_url = _base_url(settings)
    token = DEMO_TOKEN if settings.kafka_bootstrap is None else "<token from: orders partners add NAME>"
    console.print("[bold green]Up.[/] Orders posted to the ingress go through Kafka into Postgres.\n")
    for name, where in (
        ("ingress", f"{base_url}/api/integration/orders"),
        *([("pages", f"{base_url}/docs")] if os.environ.get(f"{PREFIX}DOCS") != "off" else []),
        ("ready?", f"{base_url}/readyz"),
        ("Kafka", variables[f"{PREFIX}KAFKA_BOOTSTRAP"]),
        ("Postgres", place_of(variables[f"{PREFIX}POSTGRES_URL"])),
        ("metrics", " and ".join(f"http://{LOOPBACK}:{port}/metrics" for port in _metrics_ports(settings).values())),
        ("data, logs", str(folder)),
    ):
        console.print(f"  [bold]{name:<11}[/]", escape(where), highlight=False, soft_wrap=True)
    console.print("\nTry it, in another terminal:\n")
    console.print(curl(base_url, token), markup=False, highlight=False, soft_wrap=True)
    console.print("\nThe e-mail is that of the published sample. Any text will do.")
    console.print("More partners: .venv/bin/orders partners add NAME")
    console.print("[bold]Ctrl-C stops everything.[/]")
