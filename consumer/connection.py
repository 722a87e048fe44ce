"""A connection whose thread does something else while the server works.

A second thread would not do: two of them take turns in Python, and who comes back from the server waits for its turn
for up to 5 ms, several times for each batch. Here nobody waits, and there is nothing to lock.
"""

import select
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import psycopg
from psycopg.waiting import READY_R, READY_RW, READY_W, WAIT_R, WAIT_RW, WAIT_W

Result = TypeVar("Result")
Work = Callable[[], bool]
"""Does a little of something, some tenths of a millisecond; False where there is no more to do. Raises nothing."""

_EVENTS = {WAIT_R: select.POLLIN, WAIT_W: select.POLLOUT, WAIT_RW: select.POLLIN | select.POLLOUT}
_READY = {select.POLLIN: READY_R, select.POLLOUT: READY_W, select.POLLIN | select.POLLOUT: READY_RW}


class BusyConnection(psycopg.Connection[tuple[object, ...]]):
    """`meanwhile` is called again and again while the server has not answered."""

    meanwhile: Work | None = None

    def wait(self, gen: Generator[Any, Any, Result], *args: Any, **options: Any) -> Result:
        """As psycopg's own, through which it waits for everything after it is connected."""
        return super().wait(gen if self.meanwhile is None else self._busily(gen, self.meanwhile), *args, **options)

    def _busily(self, gen: Generator[Any, Any, Result], work: Work) -> Generator[Any, Any, Result]:
        """`gen`, which asks to be called again when the socket is ready; the work is done until it is."""
        poll = select.poll()
        try:
            wanted = next(gen)
            while True:
                poll.register(self.pgconn.socket, _EVENTS[wanted])
                while not (found := poll.poll(0)) and work():
                    pass
                # Where the server has left: what it said at last can be read, and psycopg then knows that it left.
                ready = _READY.get(found[0][1], READY_R) if found else (yield wanted)
                wanted = gen.send(ready)
        except StopIteration as end:
            result: Result = end.value
            return result
