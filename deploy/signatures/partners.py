"""`orders partners`: options and help."""

from typing import Annotated

import typer

app = typer.Typer(help="Who may post orders, and with which tokens.", no_args_is_help=True)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Letters a-z, digits, dashes.")],
    orders_per_s: Annotated[
        int | None,
        typer.Option(min=1, help="Rate limit in orders a second, for each ingress process.", show_default="no limit"),
    ] = None,
) -> None:
    """Add a partner and print its token, once."""
    from deploy.commands import partners

    partners.add(name, orders_per_s)


@app.command("list")
def list_partners(
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one JSON object for each partner.")] = False,
) -> None:
    """Show partners, their limits and the key ids of their tokens."""
    from deploy.commands import partners

    partners.list_partners(as_json)


@app.command()
def rotate(name: str) -> None:
    """Print a new token. The old one stays valid until you revoke it."""
    from deploy.commands import partners

    partners.rotate(name)


@app.command()
def revoke(
    name: str, key_id: Annotated[str, typer.Argument(help="Key id of the token, from `orders partners list`.")]
) -> None:
    """Revoke a token. Every ingress follows within 2 seconds."""
    from deploy.commands import partners

    partners.revoke(name, key_id)
