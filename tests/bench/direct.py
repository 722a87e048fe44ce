"""What the system is measured against: a FastAPI service that upserts straight into Postgres. `python -m bench.direct`

uvicorn with the same parser and loop, the same validation, a pool of connections, one upsert statement for a request,
the same counts, the durability of the defaults. Its table needs no bookkeeping, so it is narrower than ours. In three
kinds (BENCH_DRIVER), because they are far apart:

psycopg  the driver that we use too, rows as VALUES: what most would write
asyncpg  the fastest that we know: binary arrays, unnest, a prepared statement
outbox   asyncpg, and each order that changed is a row of an outbox in the same transaction, for `bench.relay`
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

import asyncpg
import uvicorn
from fastapi import FastAPI, Header, HTTPException, Request
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel, FailFast, Field, TypeAdapter

from bench.tables import COLUMNS
from contracts import limits
from contracts.order import Order, Product, invalid_reason
from contracts.partner import token_sha256

POOL_CONNECTIONS = 10
_TYPES = (*["text"] * 8, "jsonb", *["bigint"] * 3)
_INSERT = f"INSERT INTO direct_orders AS o ({', '.join(COLUMNS)})"
_ON_CONFLICT = (
    f"ON CONFLICT (partner_id, order_id) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in COLUMNS[2:])} "
    f"WHERE ({', '.join(f'o.{c}' for c in COLUMNS[2:])}) IS DISTINCT FROM "
    f"({', '.join(f'excluded.{c}' for c in COLUMNS[2:])}) RETURNING "
)
_IS_NEW = "xmax = 0"
_ARRAYS = [f"${number}::{kind}[]" for number, kind in enumerate((*_TYPES, "bytea"), 1)]
_UNNEST = f"{_INSERT} SELECT * FROM unnest({', '.join(_ARRAYS[:-1])}) {_ON_CONFLICT} {_IS_NEW}"
_OUTBOX = f"""
    WITH given AS (
        SELECT * FROM unnest({", ".join(_ARRAYS)}) AS given ({", ".join(COLUMNS)}, value)
    ), written (partner_id, order_id, is_new) AS (
        {_INSERT} SELECT {", ".join(COLUMNS)} FROM given {_ON_CONFLICT} o.partner_id, o.order_id, {_IS_NEW}
    ), logged AS (
        INSERT INTO outbox (partner_id, order_id, value)
        SELECT partner_id, order_id, value FROM written JOIN given USING (partner_id, order_id)
    ) SELECT is_new FROM written"""
"""`logged` reads from `written`, so a row of the outbox gets its id after the lock on the order's row."""
_VALUES = f"({', '.join(['%s'] * len(COLUMNS))})"
_PRODUCTS = TypeAdapter(list[Product])

Row = tuple[object, ...]
Upsert = Callable[[str, list[Order]], Awaitable[Sequence[tuple[bool]]]]
"""Writes the orders of a partner and tells, for each that was written, whether it is new."""


@asynccontextmanager
async def with_asyncpg(url: str) -> AsyncIterator[Upsert]:
    async with asyncpg.create_pool(url, min_size=1, max_size=POOL_CONNECTIONS) as pool:

        async def upsert(partner_id: str, orders: list[Order]) -> Sequence[tuple[bool]]:
            rows = (_row(partner_id, order) for order in orders)
            written: Sequence[tuple[bool]] = await pool.fetch(_UNNEST, *zip(*rows, strict=True))
            return written

        yield upsert


@asynccontextmanager
async def with_outbox(url: str) -> AsyncIterator[Upsert]:
    async with asyncpg.create_pool(url, min_size=1, max_size=POOL_CONNECTIONS) as pool:

        async def upsert(partner_id: str, orders: list[Order]) -> Sequence[tuple[bool]]:
            rows = ((*_row(partner_id, order), order.canonical()) for order in orders)
            written: Sequence[tuple[bool]] = await pool.fetch(_OUTBOX, *zip(*rows, strict=True))
            return written

        yield upsert


@asynccontextmanager
async def with_psycopg(url: str) -> AsyncIterator[Upsert]:
    async with AsyncConnectionPool(url, min_size=1, max_size=POOL_CONNECTIONS) as pool:

        async def upsert(partner_id: str, orders: list[Order]) -> Sequence[tuple[bool]]:
            rows = [_row(partner_id, order) for order in orders]
            statement = f"{_INSERT} VALUES {', '.join([_VALUES] * len(rows))} {_ON_CONFLICT} {_IS_NEW}"
            async with pool.connection() as connection:
                cursor = await connection.execute(statement.encode(), [value for row in rows for value in row])
                written: Sequence[tuple[bool]] = await cursor.fetchall()
                return written

        yield upsert


class OrderBatch(BaseModel):
    data: Annotated[list[Order], FailFast(), Field(max_length=limits.ORDERS_PER_REQUEST_MAX)]


async def post_orders(request: Request, batch: OrderBatch, token: Annotated[str, Header()]) -> dict[str, Any]:
    partner_id = request.app.state.partners.get(token_sha256(token))
    if partner_id is None:
        raise HTTPException(401)
    # One statement cannot write a row twice: of the same order the last one counts, the others are skipped.
    orders = {order.order_id: order for order in batch.data if invalid_reason(order) is None}
    written = await request.app.state.upsert(partner_id, list(orders.values()))
    inserted = sum(1 for (is_new,) in written if is_new)
    updated = len(written) - inserted
    skipped = len(batch.data) - len(written)
    message = (
        f"{inserted} new records inserted. {updated} existing records updated. "
        f"Same value or invalid data skipped {skipped}"
    )
    return {"message": message, "skipped": skipped, "inserted": inserted, "updated": updated}


def _row(partner_id: str, order: Order) -> Row:
    return (
        partner_id, order.order_id, order.name, order.phone, order.address, order.email, order.refferral_code,
        order.user_id, _PRODUCTS.dump_json(order.products).decode(), order.total_amount, order.discount,
        order.total_qty,
    )  # fmt: skip


def create_app() -> FastAPI:
    connect = {"asyncpg": with_asyncpg, "psycopg": with_psycopg, "outbox": with_outbox}[os.environ["BENCH_DRIVER"]]

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with connect(os.environ["ORDERS_POSTGRES_URL"]) as upsert:
            app.state.upsert = upsert
            app.state.partners = {token_sha256(os.environ["BENCH_TOKEN"]): "p"}
            yield

    app = FastAPI(lifespan=lifespan)
    app.add_api_route("/api/integration/orders", post_orders, methods=["POST"])
    return app


if __name__ == "__main__":
    uvicorn.run(
        create_app(),
        port=int(os.environ["ORDERS_PORT"]),
        http="httptools",
        loop="uvloop",
        access_log=False,
        log_level="warning",
    )
