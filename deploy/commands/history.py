"""`orders history`: reads every version of an order from the topic."""

import json
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

from rich.table import Table
from rich.text import Text

from consumer.core.record import Record
from consumer.errors import ConsumerError, LogChangedError
from consumer.history import Change, History, Version
from consumer.kafka.log_check import LogCheck
from consumer.kafka.topic_reader import TopicReader
from consumer.letters.letter import Letter, read_letter, read_note
from consumer.letters.states import State, state_after
from consumer.postgres.fence import read_source, read_watermarks
from consumer.replay.schema import connected
from consumer.settings import OptionalPostgresSettings
from contracts.partitioner import partition_of
from contracts.settings import KafkaSettings, load
from contracts.topics import UPSERT_PARTITIONS
from deploy.admin import reach
from deploy.console import err, out, progress_bar
from deploy.errors import NothingFoundError
from deploy.kafka_settings import load_kafka
from deploy.stack_file import use_running_stack

VERSIONS_MAX = 10_000
LETTERS_SHOWN_MAX = 20
"""Letters that are named because their events are gone."""


def history(order_id: str, partner: str | None = None, as_json: bool = False) -> None:
    """Shows the versions, oldest first. Raises NothingFoundError if there is none, unless `as_json`."""
    use_running_stack()
    settings = load_kafka(KafkaSettings)
    reach(settings, dict.fromkeys((settings.topics.upserts, settings.topics.dlq), frozenset({"READ"})))
    _tell_if_not_applied(settings, partition_of(order_id.encode(), UPSERT_PARTITIONS))
    versions, left_out = find_versions(settings, order_id, partner)
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


def _tell_if_not_applied(settings: KafkaSettings, partition: int) -> None:
    """The outcomes are decided from the topic alone. So it is told if the tables do not have what stands in it."""
    url = load(OptionalPostgresSettings).postgres_url
    if url is None:
        return
    try:
        with connected(url) as connection:
            source, fence = read_source(connection), read_watermarks(connection)[partition]
        if source is not None:
            LogCheck(settings).require(source, {partition: fence})
    except LogChangedError as error:
        err.print(
            f"These versions are what the topic says, and not what was applied. {error}", style="red", markup=False
        )
    except ConsumerError as error:
        err.print(f"Whether these versions were applied is not known: {error}", markup=False)
    else:
        err.print(f"The tables have the events of partition {partition} up to offset {fence.next_offset - 1}.")


def find_versions(settings: KafkaSettings, order_id: str, partner: str | None) -> tuple[list[Version], int]:
    """The newest VERSIONS_MAX versions, oldest first, and the number of older ones that are left out.

    Reads only the partition of the key, in orders.upserts and in the dead-letter topic. Raises ConsumerError.
    """
    letters = _letters(settings, order_id)
    not_met = {place for place in letters if place[0] == partition_of(order_id.encode(), UPSERT_PARTITIONS)}

    def why_refused(record: Record) -> str | None:
        letter, _ = letters.get((record.partition, record.offset), (None, None))
        return f"{letter.error}: {letter.reason}" if letter is not None and letter.is_about(record) else None

    kept: deque[Version] = deque(maxlen=VERSIONS_MAX)
    found = 0
    records = _records(settings, settings.topics.upserts, {order_id.encode()}, "events")
    for version in History(why_refused).versions(records):
        place = version.record.partition, version.record.offset
        not_met.discard(place)
        if partner is None or version.partner_id == partner:
            found += 1
            letter, state = letters.get(place, (None, None))
            if letter is not None and state is State.DISCARDED and letter.is_about(version.record):
                told = (
                    f"{version.reason or ''} (letter {letter.id} was discarded; to take that back: orders dlq reopen)"
                )
                version = replace(version, reason=told.lstrip())
            kept.append(version)
    gone = sorted(letters[place][0].id for place in not_met)
    if gone:
        shown = ", ".join(gone[:LETTERS_SHOWN_MAX]) + (", …" if len(gone) > LETTERS_SHOWN_MAX else "")
        err.print(
            f"The events of {len(gone)} letters of this order are no longer in {settings.topics.upserts}: {shown}. "
            "To see one: orders dlq show ID"
        )
    return list(kept), found - len(kept)


def _letters(settings: KafkaSettings, order_id: str) -> dict[tuple[int, int], tuple[Letter, State]]:
    """The letters of one order, without their values, by partition and offset of their events."""
    states: dict[int, State] = {}
    found: dict[tuple[int, int], Letter] = {}
    key = order_id.encode()
    for record in _records(settings, settings.topics.dlq, {key, None}, "dead letters"):  # a key may be left out
        letter, note = read_letter(record), read_note(record)
        if letter is not None and letter.is_of_order(order_id):
            found[letter.partition, letter.offset] = replace(letter, record=replace(record, value=None))
            states[record.offset] = State.OPEN
        elif note is not None and note[1] in states:
            states[note[1]] = state_after(states[note[1]], note[0]) or State.OPEN
    return {place: (letter, states[letter.record.offset]) for place, letter in found.items()}


def _records(settings: KafkaSettings, topic: str, keys: set[bytes | None], what: str) -> Iterator[Record]:
    """Those of the one partition of these keys. None: records without a key, too."""
    partition = partition_of(next(key for key in keys if key is not None), UPSERT_PARTITIONS)
    with closing(TopicReader(settings, topic)) as reader, progress_bar() as progress:
        starts, ends = reader.bounds([partition])
        task = progress.add_task(f"{what} of partition {partition}", total=ends[partition] - starts[partition])
        for chunk in reader.read(starts, ends, lambda message: message.key() in keys):
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
