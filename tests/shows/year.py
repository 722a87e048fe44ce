"""An installation of a year, on which every command of an operator is run and timed: `make show-year`.

A million orders, of which 500 have 200 versions and one has 12,000; 50,000 dead letters; a shop's views, indexes and
rights; a logical subscriber; a long report; a partner who posts.
"""

import os
import shutil
import sys
import time
from argparse import ArgumentParser
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from deploy.local.child import Child
from shows.servers import own_servers
from shows.timed import HEAD, measured, timed_posting
from shows.year_commands import Call, Commands
from shows.year_events import YEAR, Sizes, cut_letters, large_letters, letters, orders, publish
from shows.year_shop import long_report, open_shop, subscriber
from support.installation import Ingress, Installation
from support.waiting import eventually

LONG_S = 1800.0
CONSUMERS = 2
OUTPUTS = Path(".year")
GROUPS = "partners", "history", "letters", "settle", "replays", "swap", "wait", "reseed"
"""`wait`: a swap behind a long report. `reseed` comes without posts."""


def main(sizes: Sizes, only: Collection[str]) -> None:
    with own_servers("year") as (folder, kafka, postgres), ExitStack() as running:
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET wal_level = logical")
        postgres.stop()
        postgres.start()
        installation = Installation(kafka.bootstrap, postgres.url(), folder)
        running.push(installation.running)
        say(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start, {sizes}")
        consumers = fill(installation.set_up(), sizes, CONSUMERS)
        subscribed = running.enter_context(subscriber(postgres))
        shutil.rmtree(OUTPUTS, ignore_errors=True)
        OUTPUTS.mkdir()
        ingress = installation.start_ingress({"ORDERS_REQUEST_TIMEOUT_S": "10"})  # the default
        commands = operate(installation, ingress, sizes, measured, OUTPUTS, only)
        live = "SELECT count(*) FROM orders WHERE partner_id = 'live'"
        posted = installation.sql(live)[0]["count"]
        eventually(lambda: subscribed.execute(live).fetchone() == (posted,), LONG_S)
        for consumer in consumers:
            consumer.stop()
        if "reseed" in only:
            commands.reseed()
        say(f"The subscriber has all {posted} orders that were posted. The outputs are in {OUTPUTS}.")


def fill(installation: Installation, sizes: Sizes, consumers: int) -> list[Child]:
    """Writes the topic, and lets so many consumers apply it, which are returned."""
    open_shop(installation)
    running = [installation.start_consumer() for _ in range(consumers)]
    started_s = time.monotonic()
    written = publish(installation, orders(sizes))
    written += publish(installation, letters(sizes))
    written += publish(installation, large_letters(sizes))
    written += publish(installation, cut_letters(sizes), **{"compression.type": "gzip", "message.max.bytes": 8_000_000})
    eventually(installation.is_answered, LONG_S)
    took_s = time.monotonic() - started_s
    say(f"{written:,} events were written and applied in {took_s:.0f} s, {written / took_s:,.0f} a second")
    assert all(consumer.exit_code is None for consumer in running)
    installation.sql("ALTER TABLE orders DROP CONSTRAINT not_refused")  # the cause of some letters is repaired
    installation.sql("ANALYZE")
    installation.sql("REFRESH MATERIALIZED VIEW partner_total")
    return running


def operate(
    installation: Installation, ingress: Ingress, sizes: Sizes, call: Call, outputs: Path, only: Collection[str]
) -> Commands:
    """Runs these groups of commands, while a partner posts; prints the figures."""
    filled = datetime.now(UTC).isoformat(timespec="milliseconds")
    token = installation.add_partner("live")
    say(HEAD)
    with timed_posting(ingress, token) as posts:
        commands = Commands(installation, posts, call, outputs, say)
        with long_report(installation.postgres_url):
            steps = {
                "partners": commands.partners,
                "history": lambda: commands.history(sizes.versions),
                "letters": lambda: commands.letters(sizes.letters + sizes.large + sizes.cut),
                "settle": commands.settle,
                "replays": lambda: commands.replays(filled),
                "swap": commands.prepare_swap,
                "wait": commands.swap_behind_a_report,
            }
            for name, step in steps.items():
                if name in only:
                    step()
        if "swap" in only:
            commands.swap()
    return commands


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this is its report


def typed(arguments: list[str]) -> tuple[Sizes, list[str]]:
    """The sizes are those of a year, and the groups all, unless the options say otherwise."""
    parser = ArgumentParser(description=__doc__)
    for name, size in asdict(YEAR).items():
        parser.add_argument(f"--{name}", type=int, default=size)
    parser.add_argument("--only", default=",".join(GROUPS), help="groups of commands")
    options = vars(parser.parse_args(arguments))
    return Sizes(**{name: options[name] for name in asdict(YEAR)}), options["only"].split(",")


if __name__ == "__main__":
    main(*typed(sys.argv[1:]))
