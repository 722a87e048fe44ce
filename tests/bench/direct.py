"""What the system is measured against: a FastAPI service that upserts straight into Postgres.

As fair as we can make it: uvicorn with the same parser and loop, the same validation, the fastest driver that we know
(asyncpg: prepared statements, binary parameters) with a pool, one statement for each request, the same counts, the
defaults' durability. Its table needs no bookkeeping, so it is narrower than ours. `python -m bench.direct`
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import asyncpg
import uvicorn
from fastapi import FastAPI, Header, HTTPException, Request
from pydantic import TypeAdapter

from order_upsert.contracts.order import Order, Product, invalid_reason
from order_upsert.contracts.partner import token_sha256
from order_upsert.ingress.orders import OrderBatch

POOL_CONNECTIONS = 10
_COLUMNS = (
    "order_id", "name", "phone", "address", "email", "refferral_code", "user_id", "products", "total_amount",
    "discount", "total_qty",
)  # fmt: skip
_TYPES = (*["text"] * 7, "jsonb", *["bigint"] * 3)
_UPSERT = (
    f"INSERT INTO direct_orders AS o (partner_id, {', '.join(_COLUMNS)}) "
    f"SELECT $1, * FROM unnest({', '.join(f'${n}::{t}[]' for n, t in enumerate(_TYPES, 2))}) "
    f"ON CONFLICT (partner_id, order_id) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in _COLUMNS[1:])} "
    f"WHERE ({', '.join(f'o.{c}' for c in _COLUMNS[1:])}) "
    f"IS DISTINCT FROM ({', '.join(f'excluded.{c}' for c in _COLUMNS[1:])}) RETURNING xmax = 0"
)
_PRODUCTS = TypeAdapter(list[Product])


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ["ORDERS_POSTGRES_URL"], min_size=1, max_size=POOL_CONNECTIONS) as pool:
        app.state.pool = pool
        app.state.partners = {token_sha256(os.environ["BENCH_TOKEN"]): "p"}
        yield


async def post_orders(request: Request, batch: OrderBatch, token: Annotated[str, Header()]) -> dict[str, Any]:
    partner_id = request.app.state.partners.get(token_sha256(token))
    if partner_id is None:
        raise HTTPException(401)
    # One statement cannot write a row twice: of the same order the last one counts, the others are skipped.
    orders = {order.order_id: order for order in batch.data if invalid_reason(order) is None}
    written = await request.app.state.pool.fetch(_UPSERT, partner_id, *zip(*map(_row, orders.values()), strict=True))
    inserted = sum(1 for (is_new,) in written if is_new)
    updated = len(written) - inserted
    skipped = len(batch.data) - len(written)
    message = (
        f"{inserted} new records inserted. {updated} existing records updated. "
        f"Same value or invalid data skipped {skipped}"
    )
    return {"message": message, "skipped": skipped, "inserted": inserted, "updated": updated}


def _row(order: Order) -> tuple[object, ...]:
    return (
        order.order_id, order.name, order.phone, order.address, order.email, order.refferral_code, order.user_id,
        _PRODUCTS.dump_json(order.products).decode(), order.total_amount, order.discount, order.total_qty,
    )  # fmt: skip


def create_app() -> FastAPI:
    app = FastAPI(lifespan=_lifespan)
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
