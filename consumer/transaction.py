"""A transaction whose statements are sent together: answers are waited for where they are needed, and not before."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from psycopg.pq import TransactionStatus

from consumer.store import Connection


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
