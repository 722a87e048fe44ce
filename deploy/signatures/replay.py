"""`orders replay`: options and help."""

from enum import StrEnum
from typing import Annotated

import typer

from contracts.topics import UPSERT_PARTITIONS
from deploy.times import HELP


class Action(StrEnum):
    """What `orders replay` does beside replaying."""

    LIST = "list"


def replay(
    action: Annotated[
        Action | None, typer.Argument(help="`list`: only show the schemas of replays, with their sizes and ages.")
    ] = None,
    swap: Annotated[bool, typer.Option("--swap", help="Replace the live table with the new one at the end.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Only compare the tables of an earlier replay. Changes nothing.")
    ] = False,
    until: Annotated[str | None, typer.Option(help="Rebuild the tables as they were at this time: " + HELP)] = None,
    rate: Annotated[float | None, typer.Option(min=1, help="Events a second at most.", show_default="no limit")] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, max=UPSERT_PARTITIONS, help="Processes.", show_default="one for each core, but at most two"
        ),
    ] = None,
    snapshot: Annotated[
        str | None,
        typer.Option(
            "--from", help="Begin with the schema of another replay, not with the first event. With --drop: remove it."
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Remove the schema of an earlier replay and begin again.")
    ] = False,
    drop: Annotated[bool, typer.Option("--drop", help="Only remove the schema of an earlier replay.")] = False,
    lock_wait_s: Annotated[
        float,
        typer.Option(
            min=1, help="With --swap: seconds to wait for sessions that keep locks on the tables.", metavar="S"
        ),
    ] = 60,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done. Changes nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one JSON object at the end.")] = False,
) -> None:
    """Rebuild the tables from the topic in a schema of their own, compare them, and swap them with --swap.

    The service keeps running. After a crash or Ctrl-C, run the same command again: it continues where it stopped.
    """
    if action is Action.LIST:
        from deploy.commands.replays import list_replays

        list_replays(as_json=as_json)
        return
    from deploy.commands.replay import replay as run

    run(
        swap=swap,
        verify=verify,
        until=until,
        rate=rate,
        workers=workers,
        snapshot=snapshot,
        fresh=fresh,
        drop=drop,
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
        lock_wait_s=lock_wait_s,
    )
