"""`orders history`: options and help."""

from typing import Annotated

import typer


def history(
    order_id: str,
    partner: Annotated[str | None, typer.Option(help="Only the order of this partner.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one JSON object for each version.")] = False,
) -> None:
    """Show every version of an order, oldest first, and what each one changed."""
    from deploy.commands.history import history as run

    run(order_id, partner, as_json)
