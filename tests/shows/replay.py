"""A million events of 200,000 orders, replayed while posts go on, killed, resumed, swapped: `make show-replay`.

Then the speed of a replay alone, with events that are all new orders, and with events that change nothing.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from deploy.local.kafka import KafkaBroker
from deploy.local.postgres import PostgresServer
from shows.servers import own_servers
from shows.timed import family
from support.installation import Installation
from support.many_events import history, write
from support.posting import posting
from support.waiting import eventually

LONG_S = 900.0


def main(events: int, rates_only: bool) -> None:
    with own_servers("show", lives_long=False) as (folder, kafka, postgres):
        say(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start, {events:,} events")
        if not rates_only:
            with installed(kafka, postgres, folder) as installation:
                beside_a_service(installation, events)
        rates(kafka, postgres, folder, "every event a new order", events // 2, events // 2, 0)
        rates(kafka, postgres, folder, "nothing changes", events, events // 50, 0)
        rates(kafka, postgres, folder, "five events an order, most change it", events // 2, events // 10, 0.6)


def beside_a_service(installation: Installation, events: int) -> None:
    ingress = installation.start_ingress({"ORDERS_REQUEST_TIMEOUT_S": "60"})
    consumers = [installation.start_consumer() for _ in range(2)]
    token = installation.add_partner("live")
    written = write(installation, history(events, events // 5, seed=1))
    took_s = timed(lambda: eventually(lambda: is_applied(installation), LONG_S))
    rows = count(installation, "orders")
    say(f"{written:,} events of {rows:,} orders were applied by the consumers, {written / took_s:,.0f} a second")
    with posting(ingress, token, pause_s=0.02, timeout_s=90) as sums:
        killed = installation.start("replay", program=command("replay"))
        eventually(lambda: replayed(installation) > written * 0.4, LONG_S)
        killed.kill()
        say(f"killed with -9 at {replayed(installation):,} of {written:,}, {sums['posted']:,} orders posted meanwhile")
        done, memory = run(installation, "replay")
        say(
            f"resumed: {done['events']:,} events in {done['seconds']} s, {done['orders']:,} orders compared, "
            f"{done['differences']} differ; at the most {memory}"
        )
        assert done["differences"] == 0
        swapped, _ = run(installation, "replay", "--swap", "--yes")
        assert swapped["differences"] == 0
        say(f"swapped; consumers waited {swapped['consumers_waited_s']} s")
        posted = sums["posted"]
        eventually(lambda: sums["posted"] > posted + 2000, 60)
    installation.wait_until_answered()
    assert all(consumer.exit_code is None for consumer in consumers)
    live = len(installation.rows("live"))
    say(
        f"{sums['posted']:,} orders were posted through all of it: {sums['inserted']:,} inserted + {sums['updated']:,} "
        f"updated + {sums['skipped']:,} skipped; {live:,} rows; slowest answer {sums['slowest_ms']:,} ms"
    )
    assert sums["inserted"] + sums["updated"] + sums["skipped"] == sums["posted"]
    assert sums["inserted"] == live
    again, _ = run(installation, "replay")
    say(f"replayed again: {again['orders']:,} orders, {again['differences']} differ")
    assert again["differences"] == 0


def rates(
    kafka: KafkaBroker, postgres: PostgresServer, folder: Path, what: str, events: int, orders: int, changed: float
) -> None:
    """A replay alone. The live tables stay empty: only their fence is set."""
    with installed(kafka, postgres, folder) as installation:
        written = write(installation, history(events, orders, seed=2, changed=changed, broken=0))
        fence = installation.end_offsets(installation.settings.topics.upserts)
        consumer = installation.start_consumer({"ORDERS_BATCH_RECORDS_MAX": "1"})
        consumer.kill()  # it has noted the id of the topic
        for partition, end in fence.items():
            installation.sql("UPDATE consumer_partition SET next_offset = %s WHERE partition = %s", end, partition)
        cpu_s = cpu(postgres.child.pid)
        for workers in ("1", "2"):
            done, memory = run(installation, "replay", "--until", "0s", "--workers", workers)
            assert done["events"] == written
            say(
                f"{what}, {workers} processes: {written:,} events, {done['replayed_per_s']:,.0f} a second; at the most "
                f"{memory}; load {os.getloadavg()[0]:.1f}"
            )
        say(f"  Postgres took {cpu(postgres.child.pid) - cpu_s:.1f} s of processor time for both")


@contextmanager
def installed(kafka: KafkaBroker, postgres: PostgresServer, folder: Path) -> Iterator[Installation]:
    made = Installation(kafka.bootstrap, postgres.url(), folder)
    made.sql(
        "TRUNCATE orders, order_letter, request_part, request_key, source_topic; "
        "UPDATE consumer_partition SET next_offset = 0"
    )
    with made.running:
        yield made.set_up()


def run(installation: Installation, *arguments: str) -> tuple[dict[str, Any], str]:
    """What the command tells, and the most memory that its processes took together.

    In PSS a page that several processes share counts once; in RSS, for each of them.
    """
    process = subprocess.Popen(
        command(*arguments, "--json"), env={**os.environ, **installation.environment}, stdout=subprocess.PIPE, text=True
    )
    watched, processes, pss_mb, rss_mb = psutil.Process(process.pid), 0, 0.0, 0.0
    while process.poll() is None:
        sizes = [memory_mb(each) for each in family(watched)]
        processes = max(processes, len(sizes))
        pss_mb, rss_mb = max(pss_mb, sum(pss for pss, _ in sizes)), max(rss_mb, sum(rss for _, rss in sizes))
        time.sleep(0.1)
    assert process.stdout is not None
    assert process.returncode == 0, arguments
    return json.loads(process.stdout.read()), f"{pss_mb:.0f} MB (PSS; RSS {rss_mb:.0f}) in {processes} processes"


def memory_mb(process: psutil.Process) -> tuple[float, float]:
    """PSS and RSS."""
    try:
        memory = process.memory_full_info()
    except psutil.NoSuchProcess:
        return 0.0, 0.0
    return memory.pss / 1e6, memory.rss / 1e6


def cpu(pid: int) -> float:
    """Includes the ended children of a server that forks."""
    running = 0.0
    for child in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has just ended, and is counted below
            running += sum(child.cpu_times()[:2])
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system + running)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "deploy", *arguments]


def replayed(installation: Installation) -> int:
    table = "orders_replay.consumer_partition"  # it is made after others
    if installation.sql("SELECT to_regclass(%s) AS made", table)[0]["made"] is None:
        return 0
    return int(installation.sql(f"SELECT sum(next_offset) AS n FROM {table}")[0]["n"] or 0)


def count(installation: Installation, table: str) -> int:
    return int(installation.sql(f"SELECT count(*) AS n FROM {table}")[0]["n"])


def is_applied(installation: Installation) -> bool:
    fence = {row["partition"]: row["next_offset"] for row in installation.sql("SELECT * FROM consumer_partition")}
    time.sleep(0.2)
    return fence == installation.end_offsets(installation.settings.topics.upserts)


def timed(call: Any) -> float:
    started_s = time.monotonic()
    call()
    return time.monotonic() - started_s


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this is its report


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000, "--rates-only" in sys.argv)
