"""The sequential model: what the answers and the rows must be, from the topic alone."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from confluent_kafka import Message

from support.installation import texts


def replay(records: Iterable[Message]) -> tuple[dict[tuple[str, str], Any], dict[str, Counter[str]]]:
    """The last value of each key (partner, order_id), and the counts of each request, by its id.

    `records`: in each partition by offset, valid events only.
    """
    rows: dict[tuple[str, str], Any] = {}
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for record in records:
        headers = texts(record)
        order = json.loads(record.value() or b"")
        key = headers["ce_source"].removeprefix("/partners/"), order["order_id"]
        outcome = "inserted" if key not in rows else "skipped" if rows[key] == order else "updated"
        rows[key] = order
        counts[headers["ce_id"].partition("/")[0]][outcome] += 1
    return rows, counts
