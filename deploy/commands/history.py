"""`orders history`: reads every version of an order from the topic."""

import json
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from consumer.core.record import Record
from consumer.errors import ConsumerError, LogChangedError
from consumer.history import Change, History, Version, differences
from consumer.kafka.log_check import LogCheck
from consumer.kafka.topic_reader import TopicReader
from consumer.letters.letter import Letter, read_letter, read_note
from consumer.letters.states import State, state_after
from consumer.postgres.fence import read_source, read_watermarks
from consumer.replay.schema import connected
from consumer.settings import OptionalPostgresSettings
from contracts.headers import rfc_3339
from contracts.partitioner import partition_of
from contracts.settings import KafkaSettings, load
from contracts.topics import UPSERT_PARTITIONS
from deploy.admin import reach
from deploy.console import err, out, progress_bar
from deploy.errors import NothingFoundError
from deploy.kafka_settings import load_kafka
from deploy.pager import page
from deploy.stack_file import use_running_stack
from deploy.times import period

LETTERS_SHOWN_MAX = 20
"""Letters that are named because their events are gone."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which versions: of a partner, from `since` on, before `until`, and of these the newest `limit`. None: all."""

    order_id: str
    partner: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None

    def has(self, version: Version) -> bool:
        return (
            self.partner in (None, version.partner_id)
            and (self.since is None or version.time >= self.since)
            and (self.until is None or version.time < self.until)
        )


def history(
    order_id: str,
    partner: str | None = None,
    *,
    since: str | None = None,
    until: str | None = None,
    limit: int | None = None,
    full: bool = False,
    as_json: bool = False,
) -> None:
    """Shows the versions, oldest first, while they are read. Raises NothingFoundError if there is none."""
    wanted = Wanted(order_id, partner, *period(since, until), limit)
    use_running_stack()
    settings = load_kafka(KafkaSettings)
    reach(settings, dict.fromkeys((settings.topics.upserts, settings.topics.dlq), frozenset({"READ"})))
    _tell_if_not_applied(settings, partition_of(order_id.encode(), UPSERT_PARTITIONS))
    shown = 0

    def counted() -> Iterator[Version]:
        nonlocal shown
        for version in find_versions(settings, wanted):
            shown += 1
            yield version

    lines = json_lines(counted(), full=full) if as_json else text_lines(counted(), full=full)
    if as_json or not out.is_terminal:
        for line in lines:
            print(line)  # noqa: T201 - what reads it may be a program
    else:
        page(lines)
    if not shown:
        of = f" of the partner {partner}" if partner else ""
        when = " in that time" if since or until else ""
        raise NothingFoundError(f"The topic has no event with the key {order_id!r}{of}{when}.")


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


def find_versions(settings: KafkaSettings, wanted: Wanted) -> Iterator[Version]:
    """Oldest first, each as soon as it is read; with a limit, when all are read. Says how many older ones are left out.

    Reads only the partition of the key, in orders.upserts and in the dead-letter topic, and always from its start:
    what became of an event depends on those before it. Raises ConsumerError.
    """
    key = wanted.order_id.encode()
    letters = _letters(settings, wanted.order_id)
    not_met = {place for place in letters if place[0] == partition_of(key, UPSERT_PARTITIONS)}

    def why_refused(record: Record) -> str | None:
        letter, _ = letters.get((record.partition, record.offset), (None, None))
        return f"{letter.error}: {letter.reason}" if letter is not None and letter.is_about(record) else None

    def told(version: Version) -> Version:
        place = version.record.partition, version.record.offset
        not_met.discard(place)
        letter, state = letters.get(place, (None, None))
        if letter is None or state is not State.DISCARDED or not letter.is_about(version.record):
            return version
        note = f"(letter {letter.id} was discarded; to take that back: orders dlq reopen)"
        return replace(version, reason=f"{version.reason or ''} {note}".lstrip())

    versions = History(why_refused).versions(_records(settings, settings.topics.upserts, {key}, "events"))
    found = filter(wanted.has, map(told, versions))
    yield from found if wanted.limit is None else _newest(found, wanted.limit)
    if not_met:
        ids = sorted(letters[place][0].id for place in not_met)
        shown = ", ".join(ids[:LETTERS_SHOWN_MAX]) + (", …" if len(ids) > LETTERS_SHOWN_MAX else "")
        err.print(
            f"The events of {len(ids)} letters of this order are no longer in {settings.topics.upserts}: {shown}. "
            "To see one: orders dlq show ID"
        )


def _newest(versions: Iterable[Version], limit: int) -> Iterator[Version]:
    kept: deque[Version] = deque(maxlen=limit)
    found = 0
    for found, version in enumerate(versions, 1):  # noqa: B007 - it is the number of all
        kept.append(version)
    if found > limit:
        err.print(f"Only the newest {limit} versions are shown. {found - limit} older ones are left out.")
    yield from kept


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
            if chunk.records:
                progress.stop()  # what is shown while it is read must not stand among the bar
            yield from chunk.records


def json_lines(versions: Iterable[Version], *, full: bool) -> Iterator[str]:
    """The whole order stands in the first version of each partner's, or with `full` in every one."""
    seen: set[str | None] = set()
    for version in versions:
        described = as_object(version)
        if not full and version.partner_id in seen:
            del described["order"]
        if version.order is not None:
            seen.add(version.partner_id)
        yield json.dumps(described)


def as_object(version: Version) -> dict[str, Any]:
    """One line of `--json`. Times are RFC 3339 in UTC."""
    context = version.decoded.context
    origin = None if context is None else context.origin
    return {
        "time": rfc_3339(version.time),
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


def text_lines(versions: Iterable[Version], *, full: bool) -> Iterator[str]:
    """One line for each version: what changed, or with `full` every field. No character of an order moves a cursor."""
    for version in versions:
        context = version.decoded.context
        place = f"{version.record.partition}:{version.record.offset}"
        if context is not None and context.origin is not None:
            place += f" (redriven from {context.origin.partition}:{context.origin.offset})"
        changes = differences(None, version.order) if full and version.order is not None else version.changes
        told = [f"not applied: {version.reason}"] if version.reason else []
        columns = (
            f"{version.time:%Y-%m-%d %H:%M:%S.%f}"[:-3] + "Z",
            version.partner_id or "?",
            "?" if context is None else f"{context.request_id}/{version.decoded.index}",
            place,
            version.outcome or "not applied",
            "; ".join([*told, *map(_sentence, changes)]),
        )
        yield _printable("  ".join(columns).rstrip())


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def _sentence(change: Change) -> str:
    if change.before is None:
        return f"{change.field}: {change.after}"
    return f"{change.field}: {change.before} → {'(left out)' if change.after is None else change.after}"
