"""What orders cost, for docs/sizes.md: `make show-sizes`. CPU of each process; bytes in Kafka, in tables and in WAL.

CPU time and bytes, not seconds on a clock: so others may use the machine meanwhile.
"""

import os
import random
import select
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

from bench.load import Connection
from bench.meter import Meter
from bench.sample import PATH, order_template
from shows.servers import own_servers
from support.installation import Installation

BATCH = 500
TEMPLATES = 1000
IDLE_S = 20.0
UPDATE_ROUNDS, UPDATE_SLICES = 4, 5
"""Autovacuum comes when a fifth of the rows is dead."""
WARM_UPS = 20
"""So often some orders come first, so that Java has compiled the broker. Only the first time they are new."""
PROCESSES = "ingress", "consumer", "kafka", "postgres"
TABLES = {
    "orders": "pg_table_size('orders')",
    "orders_pkey": "pg_relation_size('orders_pkey')",
    "request_part": "(SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0) FROM pg_inherits "
    "WHERE inhparent = 'request_part'::regclass)::bigint",
    "request_key": "pg_total_relation_size('request_key')",
    "parts": "(SELECT count(*) FROM request_part)",
}
SIZES = "SELECT " + ", ".join(f"{size} AS {name}" for name, size in TABLES.items())
CPU = tuple(f"{name} µs" for name in PROCESSES)
BYTES = "sent", "upserts", "results", "WAL", "orders", "orders_pkey", "request_part", "request_key", "parts"
HEAD = " | ".join(("| each order of", *CPU, *BYTES)) + " |\n" + "|---" * (1 + len(CPU) + len(BYTES)) + "|"


class Sizes:
    def __init__(self, installation: Installation, port: int, meter: Meter, log_folder: Path) -> None:
        self._installation, self._port, self._meter, self._log_folder = installation, port, meter, log_folder
        self._token = installation.add_partner("sizes")
        rng = random.Random(7)
        self._templates = [order_template(rng, products=1) for _ in range(TEMPLATES)]

    def run(
        self, load: str, numbers: Sequence[int], orders: int, connections: int, total: int = 1, *, keyed: bool = False
    ) -> None:
        """Posts orders with these numbers, so many in a request. Prints what one order cost and took: CPU, bytes, and
        rows of the ledger."""
        requests = list(self._requests(numbers, orders, total, keyed))
        kept, before = self._kept(), self._meter.read()
        send_all(self._port, requests, connections)
        after = self._meter.read()
        cpu_s = after.cpu_since(before)
        figures = [cpu_s[name] * 1e6 for name in PROCESSES]
        figures += [sum(map(len, requests))]
        grown = {name: size - kept[name] for name, size in self._kept().items()}
        grown["WAL"] = after.wal_bytes - before.wal_bytes
        figures += [grown[name] for name in BYTES[1:]]
        say(f"| {load} | " + " | ".join(f"{figure / len(numbers):,.4g}" for figure in figures) + " |")

    def table(self) -> str:
        rows, kept = self._installation.sql("SELECT count(*) AS n FROM orders")[0]["n"], self._kept()
        row, key = kept["orders"] / rows, kept["orders_pkey"] / rows
        return f"{rows:,} rows of {row:.0f} bytes, {key:.0f} more in the index"

    def memory(self) -> dict[str, int]:
        return {name: size >> 20 for name, size in self._meter.read().memory_bytes.items()}

    def idle_ms(self) -> dict[str, float]:
        before = self._meter.read()
        time.sleep(IDLE_S)
        return {name: round(s / IDLE_S * 1e3, 1) for name, s in self._meter.read().cpu_since(before).items()}

    def checkpoint(self) -> None:
        """The first change of a page after it writes the whole page to WAL."""
        self._installation.sql("CHECKPOINT")

    def change(self, numbers: Sequence[int], total: int) -> None:
        """Unmeasured, with a VACUUM each time that autovacuum would come."""
        for at in range(UPDATE_SLICES):
            send_all(self._port, list(self._requests(numbers[at::UPDATE_SLICES], BATCH, total)), 8)
            self._installation.sql("VACUUM orders")

    def _kept(self) -> dict[str, int]:
        """Bytes of the topics and tables; `parts`: rows of the ledger."""
        topics = self._installation.settings.topics
        return self._installation.sql(SIZES)[0] | {
            name: sum(file.stat().st_size for file in self._log_folder.glob(f"{topic}-*/*.log"))
            for name, topic in (("upserts", topics.upserts), ("results", topics.results))
        }

    def _requests(self, numbers: Sequence[int], orders: int, total: int, keyed: bool = False) -> Iterator[bytes]:
        for at in range(0, len(numbers), orders):
            part = numbers[at : at + orders]
            body = ",".join(self._templates[number % TEMPLATES] % (number, total) for number in part)
            key = f"Idempotency-Key: {uuid4()}\r\n" if keyed else ""
            yield (
                f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\ntoken: {self._token}\r\n"
                f'{key}Content-Length: {len(body) + 11}\r\n\r\n{{"data":[{body}]}}'
            ).encode()


def send_all(port: int, requests: Sequence[bytes], connections: int) -> None:
    """Each connection sends its next request when it has its answer. RuntimeError if an answer is not 200."""
    remaining, in_flight = iter(requests), 0
    with select.epoll() as poll:
        by_fd = {one.socket.fileno(): one for one in (Connection(port, poll) for _ in range(connections))}
        for connection, request in zip(by_fd.values(), remaining, strict=False):
            connection.send(request, 0.0)
            in_flight += 1
        while in_flight:
            for fd, events in poll.poll():
                answer = by_fd[fd].on_event(events)
                if answer is None:
                    continue
                if answer[0] != 200:
                    raise RuntimeError(f"the ingress answered {answer}")
                request = next(remaining, b"")
                if request:
                    by_fd[fd].send(request, 0.0)
                else:
                    in_flight -= 1
        for connection in by_fd.values():
            connection.socket.close()


def measure(sizes: Sizes, orders: int, singles: int) -> None:
    """Orders come in a random order, so that pages of the index are as full as those of many partners' ids."""
    numbers = list(range(orders + 10 * singles))
    random.Random(3).shuffle(numbers)
    bulk, single, small = numbers[:orders], numbers[orders : orders + 5 * singles], numbers[orders + 5 * singles :]
    say(HEAD)
    sizes.run("(warm-up) batches", bulk[: orders // 5] * WARM_UPS, BATCH, 8)
    sizes.run("(warm-up) single orders", single[:singles] * WARM_UPS, 1, 64)
    sizes.run("batches of 500, new", bulk[orders // 5 :], BATCH, 8)
    sizes.run("batches of 500, unchanged", bulk, BATCH, 8)
    sizes.run("batches of 10, new", small, 10, 8)
    sizes.run("single, 64 connections", single[singles : 3 * singles], 1, 64)
    sizes.run("single, 64 connections, with a key", single[3 * singles : 4 * singles], 1, 64, keyed=True)
    sizes.run("single, 1 connection", single[4 * singles :], 1, 1)
    rounds = range(1, 1 + UPDATE_ROUNDS)
    tables = [sizes.table()]
    for number in rounds:
        sizes.change(bulk, total=1 + number)
        tables.append(sizes.table())
    sizes.run("batches of 500, changed", bulk, BATCH, 8, total=2 + UPDATE_ROUNDS)
    sizes.checkpoint()
    sizes.run("single, changed, after a checkpoint", bulk[:singles], 1, 64, total=3 + UPDATE_ROUNDS)
    say(f"All new: {tables[0]}")
    for number in rounds:
        say(f"{orders:,} of them changed {number} times: {tables[number]}")
    say(f"MiB (PSS): {sizes.memory()}")
    say(f"CPU ms a second without orders: {sizes.idle_ms()}")


def main(orders: int, singles: int) -> None:
    with own_servers("sizes") as (folder, kafka, postgres), ExitStack() as running:
        installation = Installation(kafka.bootstrap, postgres.url(), folder)
        running.push(installation.running)
        consumer, ingress = installation.set_up().start_consumer(), installation.start_ingress()
        children = ingress.child, consumer, kafka.child, postgres.child
        pids = {name: [child.pid] for name, child in zip(PROCESSES, children, strict=True)}
        meter = Meter(pids, kafka.folder / "log", postgres.url())
        running.callback(meter.close)
        say(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start")
        measure(Sizes(installation, ingress.port, meter, kafka.folder / "log"), orders, singles)


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this is its report


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=50_000, help="in batches of 500")
    parser.add_argument("--singles", type=int, default=1_000, help="single orders of each kind; twice as many of one")
    main(**vars(parser.parse_args()))
