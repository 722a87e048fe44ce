"""Waiting for a future that others wait for too."""

import asyncio

from ingress.waiting import wait_for_done

HANG_S = 60.0


def test_each_waits_until_it_is_done_or_its_own_time_ends_and_leaves_it_alone() -> None:
    async def run() -> None:
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        await wait_for_done(future, 0)
        assert not future.done()
        waiting = [asyncio.ensure_future(wait_for_done(future, HANG_S)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.wait(waiting[:1])
        assert waiting[0].cancelled()
        assert not future.done()
        assert not waiting[1].done()
        future.set_result(None)
        await asyncio.gather(*waiting[1:])
        await wait_for_done(future, HANG_S)
        failed: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        failed.set_exception(ValueError())
        await wait_for_done(failed, HANG_S)
        assert isinstance(failed.exception(), ValueError)

    asyncio.run(run())
