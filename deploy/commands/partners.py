"""`orders partners`: add partners, list them, rotate and revoke their tokens."""

import json
import secrets
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from contracts.headers import rfc_3339
from contracts.partner import Partner, key_id_of
from contracts.settings import KafkaSettings
from deploy import streams
from deploy.admin import reach
from deploy.console import err, out
from deploy.errors import OutputError
from deploy.kafka_settings import load_kafka
from deploy.partners import PartnerRegistry
from deploy.stack_file import use_running_stack


def add(name: str, orders_per_s: int | None) -> None:
    _require_stdout()
    _show_token(name, _registry().add(name, orders_per_s))


def list_partners(as_json: bool = False) -> None:
    partners = _registry(writing=False).all()
    if as_json:
        for partner in partners:
            print(json.dumps(as_object(partner)))  # noqa: T201 - for a program
        return
    table = Table("partner", "orders/s", "key id", "token", "since")
    for partner in partners:
        rate = "no limit" if partner.orders_per_s is None else str(partner.orders_per_s)
        for token in partner.tokens:
            table.add_row(partner.partner_id, rate, token.key_id, token.status, f"{token.created:%Y-%m-%d %H:%M} UTC")
    out.print(table)


def as_object(partner: Partner) -> dict[str, Any]:
    """One line of `--json`. `orders_per_s` is null for no limit. Times are RFC 3339 in UTC."""
    return {
        "partner": partner.partner_id,
        "orders_per_s": partner.orders_per_s,
        "tokens": [
            {
                "key_id": token.key_id,
                "status": token.status,
                "since": rfc_3339(token.created),
            }
            for token in partner.tokens
        ],
    }


def rotate(name: str) -> None:
    _require_stdout()
    _show_token(name, _registry().rotate(name))


def revoke(name: str, key_id: str) -> None:
    _registry().revoke(name, key_id)
    out.print(f"Token {key_id} of {name} is revoked.")


def _registry(*, writing: bool = True) -> PartnerRegistry:
    """Raises SetupError if Kafka does not answer, or does not let this user do what the command needs."""
    use_running_stack()
    settings = load_kafka(KafkaSettings)
    reach(settings, {settings.topics.partners: frozenset({"READ", "WRITE"} if writing else {"READ"})})
    return PartnerRegistry(settings, lambda: datetime.now(UTC), secrets.choice)


def _require_stdout() -> None:
    """Raises OutputError before a token is made that nobody would see."""
    if not streams.can_show():
        raise OutputError("Nothing was done: stdout is closed, and a token is shown only once.")


def _show_token(name: str, token: str) -> None:
    try:
        print(token, flush=True)  # noqa: T201 - alone on stdout, for scripts
    except OSError as error:
        raise OutputError(
            f"The token cannot be written ({error.strerror}), so nobody knows it. Revoke it: orders partners revoke "
            f"{name} {key_id_of(token)}\nThen make another: orders partners rotate {name}"
        ) from None
    err.print("This token is shown only once. Send it to the partner over a secure channel.")
