"""`orders history`: options and help."""

from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from deploy.times import HELP

VERSIONS_MAX = 10_000
"""What `--limit` may ask for: so many versions are held in memory. Without it they are shown while they are read."""

_DASH = "If it begins with a dash, write -- before it, behind all options: orders history -- -5"


class HistoryCommand(TyperCommand):
    """An order_id may begin with a dash. Then it looks like an option, and the error says what to do."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Overrides typer's own, which only says that there is no such option."""
        try:
            return super().parse_args(ctx, args)
        except _UsageError as error:
            if hasattr(error, "option_name") and not getattr(error, "possibilities", None):
                error.message += f". Or is it an order_id? {_DASH}"
            raise


_UsageError: Any = typer.BadParameter.__mro__[1]
"""typer does not export it."""


def history(
    order_id: Annotated[str, typer.Argument(help=_DASH)],
    partner: Annotated[str | None, typer.Option(help="Only the order of this partner.")] = None,
    since: Annotated[str | None, typer.Option(help="Only versions from this time on: " + HELP)] = None,
    until: Annotated[str | None, typer.Option(help="Only versions from before this time.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, max=VERSIONS_MAX, help="Only so many, the newest.", show_default="all")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Every field of each version, not only those that changed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one JSON object for each version.")] = False,
) -> None:
    """Show every version of an order, oldest first, and what each one changed."""
    from deploy.commands.history import history as run

    run(order_id, partner, since=since, until=until, limit=limit, full=full, as_json=as_json)
