"""A connection whose thread does other work while the server works, and transactions in one round trip.

A second thread would not help: two threads take turns in Python, and a thread that returns from the server waits up to
5 ms for its turn, several times a batch. With one thread nothing waits, and nothing needs a lock.
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
"""Up to this number of rows, one statement with all rows in one JSON text is faster than COPY, because it can share a
round trip with other statements."""

Connection = psycopg.Connection[TupleRow]
Value = TypeVar("Value")
Result = TypeVar("Result")


class Pending(Generic[Value]):
    """The answer to a statement that was sent. In a pipeline, only `result()` waits for it."""

    __slots__ = ("result",)

    def __init__(self, result: Callable[[], Value]) -> None:
        self.result = result


_EVENTS = {WAIT_R: select.POLLIN, WAIT_W: select.POLLOUT, WAIT_RW: select.POLLIN | select.POLLOUT}
_READY = {select.POLLIN: READY_R, select.POLLOUT: READY_W, select.POLLIN | select.POLLOUT: READY_RW}


class _SentAtOnce(psycopg.Pipeline):
    """A pipeline whose statements leave together, when a result is asked for.

    psycopg sends each statement by itself: ten calls of the kernel for a batch, and the server wakes up for each.
    """

    def _communicate_gen(self) -> Generator[Any, Any, None]:
        """Overrides psycopg's own, which also sends. What is left to send is sent before results are read."""
        while self.command_queue:
            self.command_queue.popleft()()
        yield from ()


class BusyConnection(psycopg.Connection[TupleRow]):
    """A connection that does work of ours while it waits for the server."""

    _work: Work | None = None

    @contextmanager
    def pipeline(self) -> Iterator[psycopg.Pipeline]:
        """Overrides psycopg's own, which would make a pipeline of its kind."""
        self._pipeline = self._pipeline or _SentAtOnce(self)
        with super().pipeline() as pipeline:
            yield pipeline

    @contextmanager
    def working(self, work: Work | None) -> Iterator[None]:
        """Inside, `work` is called again and again while the server has not answered, until it has no more to do."""
        before, self._work = self._work, work
        try:
            yield
        finally:
            self._work = before

    def wait(self, gen: Generator[Any, Any, Result], *args: Any, **options: Any) -> Result:
        """Overrides psycopg's own. Once connected, psycopg waits for the server only here."""
        return super().wait(gen if self._work is None else self._busily(gen, self._work), *args, **options)

    def _busily(self, gen: Generator[Any, Any, Result], work: Work) -> Generator[Any, Any, Result]:
        """Wraps `gen`, which yields until the socket is ready. Does `work` until then."""
        poll = select.poll()
        try:
            wanted = next(gen)
            while True:
                poll.register(self.pgconn.socket, _EVENTS[wanted])
                while not (found := poll.poll(0)) and work():
                    pass
                # If the server has closed the connection, its last message can still be read. Then psycopg notices.
                ready = _READY.get(found[0][1], READY_R) if found else (yield wanted)
                wanted = gen.send(ready)
        except StopIteration as end:
            result: Result = end.value
            return result


@contextmanager
def pipelined_transaction(connection: Connection) -> Iterator[ExitStack]:
    """A transaction in a pipeline. Commits at the end, or rolls back after an error.

    Close the stack that it yields to end the pipeline early: COPY is not possible in one. `connection.transaction()`
    inside of a pipeline waits at its begin and at its end, which is three more round trips.
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
