"""A connection whose thread does something else while the server works, and transactions in one round trip.

A second thread would not do: two threads take turns in Python, and a thread that comes back from the server waits up to
5 ms for its turn, several times a batch. Here nobody waits, and there is nothing to lock.
"""

import select
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Generic, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow
from psycopg.waiting import READY_R, READY_RW, READY_W, WAIT_R, WAIT_RW, WAIT_W

from consumer.core.record import Work

JSON_ROWS_MAX = 100
"""Up to here, one statement with all rows in one JSON text beats a COPY: it can share a round trip with others."""

Connection = psycopg.Connection[TupleRow]
Value = TypeVar("Value")
Result = TypeVar("Result")


class Pending(Generic[Value]):
    """The answer to a statement that was sent. In a pipeline, nobody waits for it before `result()` is called."""

    __slots__ = ("result",)

    def __init__(self, result: Callable[[], Value]) -> None:
        self.result = result


_EVENTS = {WAIT_R: select.POLLIN, WAIT_W: select.POLLOUT, WAIT_RW: select.POLLIN | select.POLLOUT}
_READY = {select.POLLIN: READY_R, select.POLLOUT: READY_W, select.POLLIN | select.POLLOUT: READY_RW}


class BusyConnection(psycopg.Connection[TupleRow]):
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


@contextmanager
def pipelined_transaction(connection: Connection) -> Iterator[ExitStack]:
    """Commits at the end, or rolls back. What it gives can be closed on the way: then the pipeline ends, as COPY wants.

    Not `connection.transaction()`: inside of a pipeline that waits at its begin and at its end, three round trips more.
    """
    try:
        with ExitStack() as pipeline:
            pipeline.enter_context(connection.pipeline())
            connection.execute("BEGIN")
            yield pipeline
            connection.execute("COMMIT")
    except BaseException:
        if connection.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
            connection.rollback()
        raise
