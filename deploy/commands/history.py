"""`orders history`: reads every version of an order from the topic."""

import json
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from rich.table import Table
from rich.text import Text

from consumer.core.record import Record
from consumer.history import Change, History, Version
from consumer.kafka.topic_reader import TopicReader
from consumer.letters.letter import read_letter
from contracts.partitioner import partition_of
from contracts.settings import KafkaSettings
from contracts.topics import UPSERT_PARTITIONS
from deploy.console import err, out, progress_bar
from deploy.errors import NothingFoundError
from deploy.kafka_settings import load_kafka
from deploy.stack_file import use_running_stack

VERSIONS_MAX = 10_000


def history(order_id: str, partner: str | None = None, as_json: bool = False) -> None:
    """Shows the versions, oldest first. Raises NothingFoundError if there is none, unless `as_json`."""
    use_running_stack()
    versions, left_out = find_versions(load_kafka(KafkaSettings), order_id, partner)
    if left_out:
        err.print(f"Only the newest {VERSIONS_MAX} versions are shown. {left_out} older ones are left out.")
    if as_json:
        for version in versions:
            print(json.dumps(as_object(version)))  # noqa: T201 - for a program
        return
    if not versions:
        raise NothingFoundError(
            f"The topic has no event with the key {order_id!r}" + (f" of the partner {partner}." if partner else ".")
        )
    out.print(_table(versions))


def find_versions(settings: KafkaSettings, order_id: str, partner: str | None) -> tuple[list[Version], int]:
    """The newest VERSIONS_MAX versions, oldest first, and the number of older ones that are left out.

    Reads only the partition of the key, in orders.upserts and in the dead-letter topic. Raises ConsumerError.
    """
    key = order_id.encode()
    refused: dict[tuple[int, int], str] = {}
    for letter in map(read_letter, _records(settings, settings.topics.dlq, key, "dead letters")):
        if letter is not None:
            refused[letter.partition, letter.offset] = f"{letter.error}: {letter.reason}"
    kept: deque[Version] = deque(maxlen=VERSIONS_MAX)
    found = 0
    for version in History(refused).versions(_records(settings, settings.topics.upserts, key, "events")):
        if partner is None or version.partner_id == partner:
            found += 1
            kept.append(version)
    return list(kept), found - len(kept)


def _records(settings: KafkaSettings, topic: str, key: bytes, what: str) -> Iterator[Record]:
    partition = partition_of(key, UPSERT_PARTITIONS)
    with closing(TopicReader(settings, topic)) as reader, progress_bar() as progress:
        starts, ends = reader.bounds([partition])
        task = progress.add_task(f"{what} of partition {partition}", total=ends[partition] - starts[partition])
        for chunk in reader.read(starts, ends, lambda message: message.key() == key):
            progress.update(task, completed=chunk.positions[partition] - starts[partition])
            yield from chunk.records


def as_object(version: Version) -> dict[str, Any]:
    """One line of `--json`. Times are RFC 3339 in UTC."""
    context = version.decoded.context
    origin = None if context is None else context.origin
    return {
        "time": version.time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "partner": version.partner_id,
        "request": None if context is None else str(context.request_id),
        "index": None if context is None else version.decoded.index,
        "partition": version.record.partition,
        "offset": version.record.offset,
        "origin": None if origin is None else {"partition": origin.partition, "offset": origin.offset},
        "outcome": version.outcome,
        "reason": version.reason,
        "changes": [{"field": c.field, "before": c.before, "after": c.after} for c in version.changes],
        "order": None if version.order is None else version.order.model_dump(exclude_none=True),
    }


def _table(versions: list[Version]) -> Table:
    table = Table("time (UTC)", "partner", "request", "partition:offset", "outcome", "what changed", show_lines=True)
    for version in versions:
        context = version.decoded.context
        table.add_row(
            f"{version.time:%Y-%m-%d %H:%M:%S.%f}"[:-3],
            version.partner_id or "?",
            "?" if context is None else f"{context.request_id}/{version.decoded.index}",
            _place(version),
            version.outcome or "not applied",
            Text("\n".join(map(_sentence, version.changes)) or version.reason or ""),
        )
    return table


def _place(version: Version) -> str:
    context, place = version.decoded.context, f"{version.record.partition}:{version.record.offset}"
    if context is None or context.origin is None:
        return place
    return f"{place}\nredriven from {context.origin.partition}:{context.origin.offset}"


def _sentence(change: Change) -> str:
    if change.before is None:
        return f"{change.field}: {change.after}"
    return f"{change.field}: {change.before} → {'(left out)' if change.after is None else change.after}"
