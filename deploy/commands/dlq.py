"""`orders dlq`: shows and counts dead letters."""

import json
from collections import Counter
from collections.abc import Iterator
from heapq import nlargest

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from consumer.core.portions import portions
from consumer.errors import ConsumerError
from consumer.letters.fitting import size_of
from consumer.letters.letter import Letter
from consumer.letters.originals import with_originals
from consumer.letters.states import State
from contracts.settings import KafkaSettings
from deploy.admin import reach
from deploy.console import err, out
from deploy.kafka_settings import load_kafka
from deploy.letter_selection import Filters, Selected
from deploy.letter_texts import as_object, pretty, table_of
from deploy.stack_file import use_running_stack
from deploy.times import period

LISTED_BYTES_MAX = 16 << 20
"""Bytes of the letters that `list` reads together. A letter may have 2 MB."""
LISTED_MAX = 1_000
"""The number of these letters."""
GROUPS_MAX = 10_000
"""Groups of one kind that `summary` counts. Further ones are counted together."""
GROUPS_SHOWN_MAX = 20
_NAME_CHARS_MAX = 100
_OTHERS = "(others)"

Age = tuple[int, int, int, int]
"""By which letters are sorted: their time in ms; then their partition, offset and size in bytes."""


def list_letters(filters: Filters, *, limit: int, skip: int, settled_too: bool, as_json: bool) -> None:
    """The newest letters first. Keeps LISTED_BYTES_MAX of letters in memory, and what the table shows of all."""
    selected = Selected(settings_of(), filters, list(State) if settled_too else [State.OPEN])
    ages = nlargest(skip + limit, (_age(letter) for letter, _ in selected.letters()))[skip:]
    newest = _read_again(selected, ages)
    if as_json:
        for letter, state in newest:
            print(json.dumps(as_object(letter, state)))  # noqa: T201 - for a program
    elif ages:
        out.print(table_of(newest))
    left = max(0, len(selected) - skip - len(ages))
    if left:
        err.print(
            f"{len(ages):,} of {len(selected):,} letters, the newest first. For the next ones: --skip {skip + limit}. "
            "To count all: orders dlq summary"
        )
    elif not as_json:
        err.print(f"{len(ages):,} letters." if ages else _none(selected, skip))


def _none(selected: Selected, skip: int) -> str:
    settled = [f"{count} {state}" for state in (State.REDRIVEN, State.DISCARDED) if (count := selected.count(state))]
    if skip:
        return "No more dead letters."
    return f"No open dead letters ({', '.join(settled)}). To see these: --all" if settled else "No dead letters."


def _age(letter: Letter) -> Age:
    record = letter.record
    return letter.time_ms, record.partition, record.offset, size_of(record.key, record.value, record.headers)


def _read_again(selected: Selected, ages: list[Age]) -> Iterator[tuple[Letter, State]]:
    """The letters of these ages, in this order."""
    for part in portions(ages, lambda age: age[3], LISTED_BYTES_MAX, LISTED_MAX):
        yield from sorted(selected.letters({age[1:3] for age in part}), key=lambda found: _age(found[0]), reverse=True)


def summary(filters: Filters, *, settled_too: bool, as_json: bool) -> None:
    """Counts letters by error class, by partner, and by the hour (UTC) in which their events were written."""
    selected = Selected(settings_of(), filters, list(State) if settled_too else [State.OPEN])
    counts: dict[str, Counter[str]] = {"error": Counter(), "partner": Counter(), "hour": Counter()}
    for letter, _ in selected.letters():
        names = letter.error[:_NAME_CHARS_MAX] or "?", letter.partner_id or "?", f"{letter.time:%Y-%m-%dT%H}:00Z"
        for counter, name in zip(counts.values(), names, strict=True):
            counter[name if name in counter or len(counter) < GROUPS_MAX else _OTHERS] += 1
    states = {state.value: selected.count(state) for state in State}
    if as_json:
        print(json.dumps({"letters": len(selected), **states, "by": counts}))  # noqa: T201 - for a program
        return
    for what, counter in counts.items():
        rows = sorted(counter.items(), reverse=True) if what == "hour" else counter.most_common()
        out.print(_counted(what, rows))
    out.print(", ".join(f"{count:,} {state}" for state, count in states.items()), highlight=False)


def _counted(what: str, rows: list[tuple[str, int]]) -> Table:
    table = Table("hour (UTC)" if what == "hour" else what, "letters")
    for name, count in rows[:GROUPS_SHOWN_MAX]:
        table.add_row(Text(name), f"{count:,}")
    if len(rows) > GROUPS_SHOWN_MAX:
        table.add_row(
            f"{len(rows) - GROUPS_SHOWN_MAX:,} more", f"{sum(count for _, count in rows[GROUPS_SHOWN_MAX:]):,}"
        )
    return table


def show(letter_id: str) -> None:
    settings = settings_of()
    ((letter, state),) = Selected(settings, Filters(frozenset({letter_id})), list(State)).letters()
    whole, note = _whole(settings, letter)
    described = as_object(letter, state)
    if whole is not None:
        described |= {name: as_object(whole, state)[name] for name in ("order", "partner", "headers", "value")}
    headers, value = described.pop("headers"), described.pop("value")
    missing = described.pop("left_out")
    for name, text in described.items():
        out.print(f"[bold]{name:<10}[/]", escape(str(text)), highlight=False, soft_wrap=True)
    out.print("[bold]headers[/]")
    for name, text in headers.items():
        out.print(f"  {escape(name)}: {escape(text)}", highlight=False, soft_wrap=True)
    out.print("[bold]value[/]")
    if whole is not None or "value" not in missing:
        out.print(Text(pretty(value)), soft_wrap=True)
    for part, about in missing.items():
        out.print(
            f"The {part} of the event is not in the letter: it has {about['bytes']} bytes, SHA-256 {about['sha256']}.",
            highlight=False,
            soft_wrap=True,
        )
    if note:
        out.print(note, markup=False, highlight=False, soft_wrap=True)


def _whole(settings: KafkaSettings, letter: Letter) -> tuple[Letter | None, str]:
    """The letter with its whole event, if it was cut and the event can be read; and what to say about it."""
    if not letter.left_out:
        return None, ""
    place = f"{letter.partition}:{letter.offset} of {settings.topics.upserts}"
    try:
        found, _ = with_originals(settings, [letter])
    except ConsumerError as error:
        return None, f"The event should stand at {place}, but that topic cannot be read. {error}"
    if not found:
        return None, f"The event is no longer at {place}. So this letter cannot be redriven, only discarded."
    return found[0], f"What is shown was read from {place}, where the event stands. A redrive reads it there too."


def filters_of(
    ids: list[str] | None,
    reason: str | None,
    partner: str | None,
    order: str | None,
    since: str | None,
    until: str | None,
) -> Filters:
    """Filters from what was typed. Raises SelectionError."""
    return Filters(frozenset(ids or ()), reason, partner, order, *period(since, until))


def settings_of(*, writing: bool = False) -> KafkaSettings:
    """Raises SetupError if Kafka does not answer, or does not let this user do what the command needs."""
    use_running_stack()
    settings = load_kafka(KafkaSettings)
    topics = settings.topics
    read, written = frozenset({"READ"}), frozenset({"READ", "WRITE"})
    reach(settings, {topics.dlq: written, topics.upserts: written} if writing else {topics.dlq: read})
    return settings
