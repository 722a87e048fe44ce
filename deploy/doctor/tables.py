"""Checks of Postgres: version, settings, tables and rights, the log, the lag and the clock."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime

from consumer.kafka.log_check import LogCheck
from consumer.kafka.topic_reader import TopicReader
from consumer.postgres.connection import Connection
from consumer.postgres.fence import read_fence, read_source, read_watermarks, require_open
from consumer.postgres.lost_rows import require_rows
from consumer.postgres.migrate import require_migrated, require_utf8
from consumer.postgres.publications import about_the_ledger
from consumer.postgres.server import NEWEST_POSTGRES, clock, require_supported, settings_at_fault, version_text
from consumer.postgres.tables import problems
from contracts.settings import KafkaSettings
from contracts.topics import UPSERT_PARTITIONS
from deploy.doctor.findings import Finding, Status, wrong_or_ok
from deploy.doctor.kafka import SKEW_MAX_S

MOVES_WITHIN_S = 5.0
"""How long a lag is watched that does not shrink."""
_LOOK_EVERY_S = 0.2


def server(connection: Connection) -> Iterator[Finding]:
    """Raises ConsumerStoppedError if it is too old."""
    require_supported(connection)
    version = connection.info.server_version
    text = f"Postgres is version {version_text(version)}."
    if version // 10_000 > NEWEST_POSTGRES:
        text = f"{text} The newest one that was tried is {NEWEST_POSTGRES}: try yours on a copy first."
        yield Finding("postgres version", Status.WARNING, text)
    else:
        yield Finding("postgres version", Status.OK, text)
    ok = "A commit is on the disk, and writes are taken."
    yield from wrong_or_ok("postgres settings", settings_at_fault(connection), ok)


def tables(connection: Connection) -> Iterator[Finding]:
    """Raises ConsumerStoppedError for what a consumer would stop at."""
    require_utf8(connection)
    require_migrated(connection)
    if (told := about_the_ledger(connection)) is not None:
        yield Finding("publications", Status.WARNING, told)
    texts = [f"For a consumer with this role: {text}. See docs/operating.md" for text in problems(connection)]
    yield from wrong_or_ok("tables", texts, "The tables are those of this version, with the rights of a consumer.")
    require_open(read_fence(connection))
    require_rows(connection)


def log(connection: Connection, settings: KafkaSettings) -> Iterator[Finding]:
    """Raises LogChangedError if the topic is not what the tables were filled from."""
    source = read_source(connection)
    if source is None:
        yield Finding("log", Status.OK, "No consumer has started yet.")
        return
    LogCheck(settings).require(source, read_watermarks(connection))
    yield Finding("log", Status.OK, "The topic is the one that the tables were filled from.")


def lag(
    connection: Connection, settings: KafkaSettings, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Finding]:
    """Events that are not applied, and whether somebody applies them."""
    with closing(TopicReader(settings, settings.topics.upserts)) as reader:
        _, ends = reader.bounds(range(UPSERT_PARTITIONS))
    first = left = _left(connection, ends)
    until_s = time.monotonic() + MOVES_WITHIN_S
    while left and left == first and time.monotonic() < until_s:
        sleep(_LOOK_EVERY_S)
        left = _left(connection, ends)
    if not left:
        yield Finding("lag", Status.OK, "All events are applied.")
    elif left < first:
        yield Finding("lag", Status.OK, f"{left:,} events are not applied yet, and consumers apply them.")
    else:
        text = f"{left:,} events are not applied, and none was in {MOVES_WITHIN_S:.0f} s."
        yield Finding("lag", Status.WRONG, f"{text} Start a consumer, or read the log of those that run.")


def skew(connection: Connection) -> Iterator[Finding]:
    """The clock of Postgres beside that of this machine."""
    before = datetime.now(UTC)
    found = clock(connection)
    after = datetime.now(UTC)
    off_s = max((before - found).total_seconds(), (found - after).total_seconds(), 0.0)
    if off_s > SKEW_MAX_S:
        text = f"The clock of Postgres is {off_s:.0f} s off that of this machine. Set both by NTP."
        yield Finding("postgres clock", Status.WARNING, text)
    else:
        yield Finding("postgres clock", Status.OK, "The clock of Postgres is that of this machine.")


def _left(connection: Connection, ends: dict[int, int]) -> int:
    fence = read_fence(connection)
    return sum(max(0, end - fence[partition]) for partition, end in ends.items())
