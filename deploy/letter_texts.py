"""Dead letters as `orders dlq` shows them."""

import json
from collections.abc import Iterable
from typing import Any

from rich.table import Table
from rich.text import Text

from consumer.letters.letter import Letter
from consumer.letters.states import State
from contracts.headers import rfc_3339


def as_object(letter: Letter, state: State) -> dict[str, Any]:
    """One line of `--json`. Bytes that are not UTF-8 become replacement characters."""
    return {
        "id": letter.id,
        "time": rfc_3339(letter.time),
        "partner": letter.partner_id,
        "order": letter.order_id,
        "partition": letter.partition,
        "offset": letter.offset,
        "stage": letter.stage,
        "error": letter.error,
        "reason": letter.reason,
        "state": state.value,
        "headers": {name: (value or b"").decode(errors="replace") for name, value in letter.record.headers},
        "left_out": {
            part: {"bytes": about.size_bytes, "sha256": about.sha256} for part, about in letter.left_out.items()
        },
        "value": None if letter.record.value is None else letter.record.value.decode(errors="replace"),
    }


def table_of(found: Iterable[tuple[Letter, State]]) -> Table:
    table = Table("id", "time (UTC)", "partner", "order", "event", "error", "reason", "state")
    for letter, state in found:
        texts = (
            letter.id,
            f"{letter.time:%Y-%m-%d %H:%M:%S}",
            letter.partner_id or "?",
            letter.order_id or "?",
            f"{letter.partition}:{letter.offset}",
            letter.error,
            letter.reason,
            state.value,
        )
        table.add_row(*map(Text, texts))
    return table


def pretty(value: str | None) -> str:
    """An order in JSON as people read it; any other value as it is."""
    if value is None:
        return "(none)"
    try:
        return json.dumps(json.loads(value), indent=2, ensure_ascii=False)
    except ValueError:
        return value
