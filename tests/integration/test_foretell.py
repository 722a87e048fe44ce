"""What the tables say of orders that are not sent yet."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from consumer.applier import Applier
from consumer.postgres.ledger_reader import PostgresLedgerReader
from consumer.postgres.session import SessionHolder
from contracts.result import Outcome
from support.events import batch, event

Sql = Callable[..., list[dict[str, Any]]]


def foretold(url: str, partner: str, orders: Sequence[tuple[str, bytes]]) -> list[Outcome]:
    async def ask() -> list[Outcome]:
        ledger = PostgresLedgerReader(url)
        await ledger.open()
        try:
            return await ledger.foretell(partner, orders)
        finally:
            await ledger.close()

    return asyncio.run(ask())


def test_outcomes_are_told_by_the_rows_as_they_are_and_nothing_is_written(database: str, sql: Sql) -> None:
    holder = SessionHolder(database, 7)
    Applier(holder, lambda _: None).apply(batch([event(0, "1", "a"), event(0, "1", "q", partner="q", request=2)]))
    holder.close()
    tables = sql("SELECT * FROM orders ORDER BY order_id"), sql("SELECT * FROM request_part")
    first, second = event(0, "1", "a").canonical, event(0, "2", "a").canonical
    others = [
        ('b\\,{}"ä', first),
        ("q", event(0, "1", "q").canonical),
        *((f"n{number}", first) for number in range(997)),
    ]
    asked = [("a", first), ("a", second), ("a", second), ("a", first), *others]
    assert foretold(database, "p", asked) == [
        Outcome.UNCHANGED,
        Outcome.UPDATED,
        Outcome.UNCHANGED,
        Outcome.UPDATED,
        *[Outcome.INSERTED] * len(others),
    ]
    assert foretold(database, "p", []) == []
    assert (sql("SELECT * FROM orders ORDER BY order_id"), sql("SELECT * FROM request_part")) == tables
