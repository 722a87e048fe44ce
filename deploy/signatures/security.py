"""`orders doctor` and `orders acls`: options and help."""

from typing import Annotated

import typer

from contracts.role import Role


def doctor(
    role: Annotated[
        Role, typer.Option(help="Whose rights in Kafka the user of ORDERS_KAFKA_PROPERTIES should have.")
    ] = Role.OPERATOR,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one JSON object for each check.")] = False,
) -> None:
    """Look at Kafka, Postgres and this machine from outside. Changes nothing. Exit code 1 if something is wrong.

    One line for each check: how it is, and what to do. The operator sees all. Of another role, only what its user may
    see is looked at.
    """
    from deploy.commands.doctor import doctor as run

    run(role, as_json)


def acls(
    role: Annotated[Role, typer.Option(help="What the principal does.")],
    principal: Annotated[str, typer.Option(help="As Kafka writes it: User:ingress.", show_default=False)],
) -> None:
    """Print the kafka-acls commands that give a principal the least rights of its role."""
    from deploy.commands.acls import acls as run

    run(role, principal)
