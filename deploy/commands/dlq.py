"""`orders dlq`: shows, redrives and discards dead letters."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text
from uuid_utils.compat import uuid7

from consumer.core.repeats import CONFLICT, NEVER_APPLIED
from consumer.kafka.producer import AcknowledgedProducer
from consumer.letters.letter import Letter, Settled, settled_note
from consumer.letters.redriving import SEND_RECORDS_MAX, Failure, Redriver, parts
from contracts.kafka_errors import Verdict
from contracts.settings import KafkaSettings
from deploy.admin import reach
from deploy.console import confirm, err, out, progress_bar
from deploy.errors import LettersLeftError
from deploy.kafka_settings import load_kafka
from deploy.letter_selection import Filters, find_letters
from deploy.stack_file import use_running_stack
from deploy.times import moment

FAILURES_SHOWN_MAX = 20
NEVER_REDRIVEN = NEVER_APPLIED
"""The partner got a 422: nothing of the request is applied, now or later. A redrive would make that untrue."""


def list_letters(selected: Filters, *, settled_too: bool, as_json: bool) -> None:
    found = find_letters(_settings(), selected, settled_too=settled_too)
    if as_json:
        for letter, settled in found:
            print(json.dumps(as_object(letter, settled)))  # noqa: T201 - for a program
        return
    if found:
        out.print(_table(found))
    err.print(f"{len(found)} letters." if found else "No dead letters.")


def show(letter_id: str) -> None:
    ((letter, settled),) = find_letters(_settings(), Filters(frozenset({letter_id})), settled_too=True)
    described = as_object(letter, settled)
    headers, value = described.pop("headers"), described.pop("value")
    missing = described.pop("left_out")
    for name, text in described.items():
        out.print(f"[bold]{name:<10}[/]", escape(str(text)), highlight=False, soft_wrap=True)
    out.print("[bold]headers[/]")
    for name, text in headers.items():
        out.print(f"  {escape(name)}: {escape(text)}", highlight=False, soft_wrap=True)
    out.print("[bold]value[/]")
    if "value" not in missing:
        out.print(Text(_pretty(value)), soft_wrap=True)
    for part, about in missing.items():
        out.print(
            f"The {part} of the event is not in the letter: it has {about['bytes']} bytes, SHA-256 {about['sha256']}. "
            f"The event stands at {letter.partition}:{letter.offset} of orders.upserts.",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def redrive(selected: Filters, *, yes: bool, dry_run: bool) -> None:
    """Publishes each event once, even if several letters hold it, and notes its letters as redriven."""
    settings = _settings(writing=True)
    letters = [letter for letter, _ in find_letters(settings, selected)]
    kept_out = [letter for letter in letters if letter.error in NEVER_REDRIVEN]
    if kept_out:
        err.print(
            f"{len(kept_out)} letters are left out: their partners were told that they are not applied (422). "
            f"To close them: orders dlq discard --reason {CONFLICT}"
        )
        letters = [letter for letter in letters if letter.error not in NEVER_REDRIVEN]
    if _is_agreed(letters, "redrive", yes, dry_run):
        redriver = Redriver(settings, uuid7)
        done, failures = 0, list[Failure]()
        with progress_bar() as progress:
            task = progress.add_task("redriving", total=len(letters))
            for part in parts(letters, SEND_RECORDS_MAX):
                failed = redriver.redrive(part)
                done += len(part) - len(failed)
                failures += failed
                progress.update(task, advance=len(part))
                if any(failure.verdict is not Verdict.RECORD for failure in failed):
                    break
        out.print(f"{done} letters were redriven. To see their outcomes: orders history ORDER_ID")
        _tell(failures, len(letters) - done)


def _tell(failures: Sequence[Failure], left: int) -> None:
    """Names what was not redriven. Raises LettersLeftError if there is such a letter."""
    for letter, _, why in failures[:FAILURES_SHOWN_MAX]:
        err.print(f"Letter {letter.id}, order {letter.order_id!r}: {why}.", markup=False, highlight=False)
    if left:
        raise LettersLeftError(
            f"{left} letters were not redriven, and stay open"
            + (f"; only the first {FAILURES_SHOWN_MAX} are named" if len(failures) > FAILURES_SHOWN_MAX else "")
            + ". When the cause is gone, run the same command again."
        )


def discard(selected: Filters, *, yes: bool, dry_run: bool) -> None:
    settings = _settings(writing=True)
    letters = [letter for letter, _ in find_letters(settings, selected)]
    if _is_agreed(letters, "discard", yes, dry_run):
        producer = AcknowledgedProducer(settings)
        for part in parts(letters, SEND_RECORDS_MAX):
            producer.send(settled_note(letter, Settled.DISCARDED, settings.topics) for letter in part)
        out.print(f"{len(letters)} letters were discarded.")


def filters(
    ids: list[str] | None,
    reason: str | None,
    partner: str | None,
    order: str | None,
    since: str | None,
    until: str | None,
) -> Filters:
    """Filters from what was typed. Raises SelectionError."""
    now = datetime.now(UTC)
    times = [None if text is None else moment(text, now) for text in (since, until)]
    return Filters(frozenset(ids or ()), reason, partner, order, *times)


def as_object(letter: Letter, settled: Settled | None) -> dict[str, Any]:
    """One line of `--json`. Bytes that are not UTF-8 become replacement characters."""
    return {
        "id": letter.id,
        "time": letter.time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "partner": letter.partner_id,
        "order": letter.order_id,
        "partition": letter.partition,
        "offset": letter.offset,
        "stage": letter.stage,
        "error": letter.error,
        "reason": letter.reason,
        "state": settled or "open",
        "headers": {name: (value or b"").decode(errors="replace") for name, value in letter.record.headers},
        "left_out": {
            part: {"bytes": about.size_bytes, "sha256": about.sha256} for part, about in letter.left_out.items()
        },
        "value": None if letter.record.value is None else letter.record.value.decode(errors="replace"),
    }


def _settings(*, writing: bool = False) -> KafkaSettings:
    """Raises SetupError if Kafka does not answer, or does not let this user do what the command needs."""
    use_running_stack()
    settings = load_kafka(KafkaSettings)
    topics = settings.topics
    read, written = frozenset({"READ"}), frozenset({"READ", "WRITE"})
    reach(settings, {topics.dlq: written, topics.upserts: written} if writing else {topics.dlq: read})
    return settings


def _is_agreed(letters: list[Letter], verb: str, yes: bool, dry_run: bool) -> bool:
    """Whether there are letters and the person agrees. Raises AbortedError."""
    if not letters:
        out.print(f"There is no open letter to {verb}.")
        return False
    if dry_run or not yes:
        out.print(_table((letter, None) for letter in letters))
    if dry_run:
        out.print(f"This would {verb} {len(letters)} letters. Nothing was done.")
        return False
    confirm(f"{verb.capitalize()} these {len(letters)} letters?", yes)
    return True


def _table(found: Iterable[tuple[Letter, Settled | None]]) -> Table:
    table = Table("id", "time (UTC)", "partner", "order", "event", "error", "reason", "state")
    for letter, settled in found:
        texts = (
            letter.id,
            f"{letter.time:%Y-%m-%d %H:%M:%S}",
            letter.partner_id or "?",
            letter.order_id or "?",
            f"{letter.partition}:{letter.offset}",
            letter.error,
            letter.reason,
            settled or "open",
        )
        table.add_row(*map(Text, texts))
    return table


def _pretty(value: str | None) -> str:
    if value is None:
        return "(none)"
    try:
        return json.dumps(json.loads(value), indent=2, ensure_ascii=False)
    except ValueError:
        return value
