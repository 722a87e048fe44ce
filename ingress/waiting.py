"""Waiting for what several requests may wait for. Used on the event loop only."""

import asyncio
from asyncio import Future, get_running_loop
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from ingress.errors import NotConfirmedError
from ingress.pending_replies import Answer, Pending


@dataclass(frozen=True, slots=True)
class Accepted:
    """Every order is in Kafka, but the outcomes are not known yet. The answer is 202."""


async def wait_for_done(future: "Future[Any]", timeout_s: float) -> None:
    """Returns when `future` is done, or after `timeout_s`. Neither ends nor cancels it, as `asyncio.wait` does, in a
    third of its time."""
    if future.done():
        return
    loop = get_running_loop()
    waiter: Future[None] = loop.create_future()

    def wake(_: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    timer = loop.call_later(timeout_s, wake)
    future.add_done_callback(wake)
    try:
        await waiter
    finally:
        timer.cancel()
        future.remove_done_callback(wake)


async def wait_for_either(
    request_id: UUID, pending: Pending, acknowledged: "Future[None]", wait_s: float, timeout_s: float
) -> Answer | Accepted:
    """The answer for a client that accepts 202 after `wait_s`. `acknowledged`: every order is in Kafka.

    Raises NotConfirmedError if neither is known after `timeout_s`, or what `pending` failed with.
    """
    if wait_s:
        await asyncio.wait([pending.done], timeout=wait_s)
    if not pending.done.done():
        either: list[Future[Any]] = [pending.done, acknowledged]
        await asyncio.wait(either, timeout=timeout_s - wait_s, return_when=asyncio.FIRST_COMPLETED)
    if pending.done.done() and (wait_s or pending.done.exception()):
        return pending.done.result()
    if pending.done.done() or acknowledged.done():
        return Accepted()
    raise NotConfirmedError(request_id)
