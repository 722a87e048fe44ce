"""`orders dlq`: options and help."""

from typing import Annotated

import typer

from deploy.times import HELP

app = typer.Typer(help="Events that could not be applied: show, count, redrive or discard them.", no_args_is_help=True)

Ids = Annotated[list[str] | None, typer.Argument(help="Ids of letters, from `list`.", show_default="all open")]
Reason = Annotated[str | None, typer.Option(help="An error class, or part of the reason.")]
Partner = Annotated[str | None, typer.Option(help="Only letters of this partner.")]
Order = Annotated[str | None, typer.Option(help="Only letters with this order_id.")]
Since = Annotated[str | None, typer.Option(help="From this time on: " + HELP)]
Until = Annotated[str | None, typer.Option(help="Before this time: " + HELP)]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
SettledToo = Annotated[bool, typer.Option("--all", help="Also redriven and discarded letters.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done. Changes nothing.")]


@app.command("list")
def list_letters(
    reason: Reason = None,
    partner: Partner = None,
    order: Order = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Letters to show.")] = 100,
    skip: Annotated[int, typer.Option(min=0, max=100_000, help="Newer letters to leave out: the pages before.")] = 0,
    settled_too: SettledToo = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one JSON object for each letter.")] = False,
) -> None:
    """Show open dead letters and their reasons, the newest first."""
    from deploy.commands import dlq

    filters = dlq.filters_of(None, reason, partner, order, since, until)
    dlq.list_letters(filters, limit=limit, skip=skip, settled_too=settled_too, as_json=as_json)


@app.command()
def summary(
    reason: Reason = None,
    partner: Partner = None,
    order: Order = None,
    since: Since = None,
    until: Until = None,
    settled_too: SettledToo = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one JSON object, with all groups.")] = False,
) -> None:
    """Count open dead letters by error, by partner, and by the hour of their events."""
    from deploy.commands import dlq

    dlq.summary(dlq.filters_of(None, reason, partner, order, since, until), settled_too=settled_too, as_json=as_json)


@app.command()
def show(letter_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the letter, from `list`.")]) -> None:
    """Show one letter: the event as it was written, and why it could not be applied."""
    from deploy.commands import dlq

    dlq.show(letter_id)


@app.command()
def redrive(
    ids: Ids = None,
    reason: Reason = None,
    partner: Partner = None,
    order: Order = None,
    since: Since = None,
    until: Until = None,
    rate: Annotated[float, typer.Option(min=1, help="Events a second at most.")] = 500,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Write events to orders.upserts again, after their cause is repaired.

    Each event counts at its first place in the order of events. If the row is newer, the outcome is `stale`.
    """
    from deploy.commands import dlq, dlq_changes

    filters = dlq.filters_of(ids, reason, partner, order, since, until)
    dlq_changes.redrive(filters, rate=rate, yes=yes, dry_run=dry_run)


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
    """Close letters without a redrive. They stay in the topic, because a replay needs them."""
    from deploy.commands import dlq, dlq_changes

    dlq_changes.discard(dlq.filters_of(ids, reason, partner, order, since, until), yes=yes, dry_run=dry_run)


@app.command()
def reopen(
    ids: Annotated[
        list[str] | None, typer.Argument(help="Ids of letters, from `list --all`.", show_default="all discarded")
    ] = None,
    reason: Reason = None,
    partner: Partner = None,
    order: Order = None,
    since: Since = None,
    until: Until = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Take a discard back. The letters are open again."""
    from deploy.commands import dlq, dlq_changes

    dlq_changes.reopen(dlq.filters_of(ids, reason, partner, order, since, until), yes=yes, dry_run=dry_run)
