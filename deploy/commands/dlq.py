"""`orders dlq`: what is in the dead-letter topic, why, and what to do about it."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from uuid_utils.compat import uuid7

from consumer.core.repeats import CONFLICT
from consumer.kafka.producer import AcknowledgedProducer
from consumer.letters.letter import Letter, Settled, settled_note
from consumer.letters.redrive import redriven
from contracts.settings import KafkaSettings
from deploy.admin import load_kafka
from deploy.console import confirm, err, out, progress_bar, use_running_stack
from deploy.letter_selection import Filters, find_letters
from deploy.times import HELP, moment

SEND_RECORDS_MAX = 1_000
"""Letters that are published before they are noted as redriven. Whoever is killed in between redrives them again."""
NEVER_REDRIVEN = {CONFLICT}
"""Its partner was told that nothing of the request is or will be applied (422); that stays true."""

app = typer.Typer(help="Events that could not be applied: see them, redrive them, discard them.", no_args_is_help=True)

Ids = Annotated[list[str] | None, typer.Argument(help="Of letters, as `list` shows them.", show_default="all open")]
Reason = Annotated[str | None, typer.Option(help="A class of errors, or a part of the reason.")]
Partner = Annotated[str | None, typer.Option(help="Of this partner only.")]
Order = Annotated[str | None, typer.Option(help="Of this order_id only.")]
Since = Annotated[str | None, typer.Option(help=HELP)]
Until = Annotated[str | None, typer.Option(help=HELP)]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]


@app.command("list")
def list_letters(
    reason: Reason = None,
    partner: Partner = None,
    order: Order = None,
    since: Since = None,
    until: Until = None,
    settled_too: Annotated[bool, typer.Option("--all", help="Redriven and discarded ones too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one JSON object for each letter.")] = False,
) -> None:
    """Show open dead letters and why they are there."""
    filters = _filters(None, reason, partner, order, since, until)
    found = find_letters(_settings(), filters, settled_too=settled_too)
    if as_json:
        for letter, settled in found:
            print(json.dumps(as_object(letter, settled)))  # noqa: T201 - for a program
        return
    if found:
        out.print(_table(found))
    err.print(f"{len(found)} letters." if found else "No dead letters.")


@app.command()
def show(letter_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")]) -> None:
    """Show one letter: the event as it was written, and why it could not be applied."""
    ((letter, settled),) = find_letters(_settings(), Filters(frozenset({letter_id})), settled_too=True)
    described = as_object(letter, settled)
    headers, value = described.pop("headers"), described.pop("value")
    for name, text in described.items():
        out.print(f"[bold]{name:<10}[/]", escape(str(text)), highlight=False, soft_wrap=True)
    out.print("[bold]headers[/]")
    for name, text in headers.items():
        out.print(f"  {escape(name)}: {escape(text)}", highlight=False, soft_wrap=True)
    out.print("[bold]value[/]")
    out.print(Text(_pretty(value)), soft_wrap=True)


@app.command()
def redrive(
    ids: Ids = None,
    reason: Reason = None,
    partner: Partner = None,
    order: Order = None,
    since: Since = None,
    until: Until = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Put events back into orders.upserts, after the cause is mended.

    Each takes the place that it had at first: one that is older than what the row now holds ends as stale.
    """
    settings, filters = _settings(), _filters(ids, reason, partner, order, since, until)
    letters = [letter for letter, _ in find_letters(settings, filters)]
    kept_out = [letter for letter in letters if letter.error in NEVER_REDRIVEN]
    if kept_out:
        err.print(
            f"{len(kept_out)} letters are left out: their partners were told that they are not applied (422). "
            f"What can be done with them: orders dlq discard --reason {CONFLICT}"
        )
        letters = [letter for letter in letters if letter.error not in NEVER_REDRIVEN]
    if _is_agreed(letters, "redrive", yes, dry_run):
        producer = AcknowledgedProducer(settings)
        with progress_bar() as progress:
            for part in progress.track(_parts(letters), description="redriving"):
                events = {(letter.partition, letter.offset): letter for letter in part}.values()
                producer.send(redriven(letter, settings.topics, uuid7) for letter in events)
                producer.send(settled_note(letter, Settled.REDRIVEN, settings.topics) for letter in part)
        out.print(f"{len(letters)} letters were redriven. What became of them: orders history ORDER_ID")


@app.command()
def discard(
    ids: Ids = None,
    reason: Reason = None,
    partner: Partner = None,
    order: Order = None,
    since: Since = None,
    until: Until = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Note that nothing is to be done about letters. They stay in the topic, because a replay needs them."""
    settings, filters = _settings(), _filters(ids, reason, partner, order, since, until)
    letters = [letter for letter, _ in find_letters(settings, filters)]
    if _is_agreed(letters, "discard", yes, dry_run):
        producer = AcknowledgedProducer(settings)
        for part in _parts(letters):
            producer.send(settled_note(letter, Settled.DISCARDED, settings.topics) for letter in part)
        out.print(f"{len(letters)} letters were discarded.")


def as_object(letter: Letter, settled: Settled | None) -> dict[str, Any]:
    """One line of `--json`. What is not UTF-8 has replacement characters."""
    return {
        "id": letter.id,
        "time": letter.record.time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "partner": letter.partner_id,
        "order": letter.order_id,
        "partition": letter.partition,
        "offset": letter.offset,
        "stage": letter.stage,
        "error": letter.error,
        "reason": letter.reason,
        "state": settled or "open",
        "headers": {name: (value or b"").decode(errors="replace") for name, value in letter.record.headers},
        "value": None if letter.record.value is None else letter.record.value.decode(errors="replace"),
    }


def _settings() -> KafkaSettings:
    use_running_stack()
    return load_kafka(KafkaSettings)


def _filters(
    ids: list[str] | None,
    reason: str | None,
    partner: str | None,
    order: str | None,
    since: str | None,
    until: str | None,
) -> Filters:
    now = datetime.now(UTC)
    times = [None if text is None else moment(text, now) for text in (since, until)]
    return Filters(frozenset(ids or ()), reason, partner, order, *times)


def _is_agreed(letters: list[Letter], verb: str, yes: bool, dry_run: bool) -> bool:
    """Whether there is something to do, and it is to be done. Raises AbortedError."""
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


def _parts(letters: list[Letter]) -> list[list[Letter]]:
    return [letters[first : first + SEND_RECORDS_MAX] for first in range(0, len(letters), SEND_RECORDS_MAX)]


def _table(found: Iterable[tuple[Letter, Settled | None]]) -> Table:
    table = Table("id", "time (UTC)", "partner", "order", "event", "error", "reason", "state")
    for letter, settled in found:
        texts = (
            letter.id,
            f"{letter.record.time:%Y-%m-%d %H:%M:%S}",
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
