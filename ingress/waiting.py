"""Waiting for what several requests may wait for. Used on the event loop only."""

from asyncio import Future, get_running_loop
from typing import Any


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
