"""`orders replay list`: the schemas that replays and swaps left behind."""

import json
from datetime import UTC, datetime

from rich.table import Table

from consumer.replay.schemas import kept_schemas
from consumer.settings import PostgresSettings
from contracts.headers import rfc_3339
from contracts.settings import load
from deploy.console import err, out
from deploy.stack_file import use_running_stack

_MEGABYTE = 1_000_000


def list_replays(*, as_json: bool) -> None:
    """Shows each with its size and age. Raises ConsumerError."""
    use_running_stack()
    now = datetime.now(UTC)
    table = Table("schema", "made (UTC)", "age", "size")
    kept = kept_schemas(load(PostgresSettings).postgres_url)
    for item in kept:
        made = None if item.made is None else item.made.astimezone(UTC)
        if as_json:
            described = {
                "schema": item.schema,
                "made": None if made is None else rfc_3339(made, "seconds"),
                "size_bytes": item.size_bytes,
            }
            print(json.dumps(described))  # noqa: T201 - for a program
            continue
        table.add_row(
            item.schema,
            "?" if made is None else f"{made:%Y-%m-%d %H:%M:%S}",
            "?" if made is None else str(now.replace(microsecond=0) - made.replace(microsecond=0)),
            f"{item.size_bytes / _MEGABYTE:,.1f} MB",
        )
    if kept and not as_json:
        out.print(table)
        err.print("To remove one: orders replay --drop --from SCHEMA", highlight=False)
    elif not as_json:
        err.print("There is no schema of a replay.")
