"""`orders partners`: add partners, list them, rotate and revoke their tokens."""

import secrets
from datetime import UTC, datetime

from rich.table import Table

from contracts.settings import KafkaSettings
from deploy.admin import reach
from deploy.console import err, out
from deploy.kafka_settings import load_kafka
from deploy.partners import PartnerRegistry
from deploy.stack_file import use_running_stack


def add(name: str, orders_per_s: int | None) -> None:
    _show_token(_registry().add(name, orders_per_s))


def list_partners() -> None:
    table = Table("partner", "orders/s", "key id", "token", "since")
    for partner in _registry(writing=False).all():
        rate = "no limit" if partner.orders_per_s is None else str(partner.orders_per_s)
        for token in partner.tokens:
            table.add_row(partner.partner_id, rate, token.key_id, token.status, f"{token.created:%Y-%m-%d %H:%M} UTC")
    out.print(table)


def rotate(name: str) -> None:
    _show_token(_registry().rotate(name))


def revoke(name: str, key_id: str) -> None:
    _registry().revoke(name, key_id)
    out.print(f"Token {key_id} of {name} is revoked.")


def _registry(*, writing: bool = True) -> PartnerRegistry:
    """Raises SetupError if Kafka does not answer, or does not let this user do what the command needs."""
    use_running_stack()
    settings = load_kafka(KafkaSettings)
    reach(settings, {settings.topics.partners: frozenset({"READ", "WRITE"} if writing else {"READ"})})
    return PartnerRegistry(settings, lambda: datetime.now(UTC), secrets.choice)


def _show_token(token: str) -> None:
    print(token)  # noqa: T201 - alone on stdout, for scripts
    err.print("This token is shown only once. Send it to the partner over a secure channel.")
