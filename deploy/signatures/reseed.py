"""`orders reseed`: options and help."""

from typing import Annotated

import typer


def reseed(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done. Changes nothing.")] = False,
) -> None:
    """Make the tables the truth again, after Kafka lost records, lost the topic, or was moved.

    Writes an event for every order that the topic does not explain. Stop all consumers first. After a crash or Ctrl-C,
    run it again: it continues where it stopped.
    """
    from deploy.commands.reseed import reseed as run

    run(yes=yes, dry_run=dry_run)
