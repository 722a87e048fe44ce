"""What to do after a failure: try the batch again, find the record that Postgres refuses, or ask a person."""

from contracts.errors import OrdersError


class ConsumerError(OrdersError):
    """The base of all errors of the consumer."""


class RetryLaterError(ConsumerError):
    """Postgres or Kafka does not work now. Happens in every outage. The same batch is tried again, forever."""


class DiskFullError(RetryLaterError):
    """The disk of Postgres is full. A consumer waits for room. A replay fills the disk itself, so it ends."""


class TooMuchAtOnceError(RetryLaterError):
    """The batch needs more time or memory than it may have. It is tried again with fewer records.

    `reason`: as of a refused record, if a function of the shop was running; then one record can be to blame. Else None.
    """

    def __init__(self, text: str, reason: str | None = None) -> None:
        super().__init__(text)
        self.reason = reason


class TablesAtFaultError(RetryLaterError):
    """The tables refuse every row for one reason. Somebody mends them, and then the same batch is applied."""


class RefusedByPostgresError(ConsumerError):
    """The tables refuse some record of the batch. The batch is halved until that record is found.

    `reason` is equal for all rows that are refused for the same reason.
    """

    def __init__(self, text: str, reason: str = "") -> None:
        super().__init__(text)
        self.reason = reason or text


class PlanLostError(RetryLaterError):
    """A plan, or something that was prepared, does not fit any more. A new session usually mends it.

    If it does not, some record is refused for this `reason`.
    """

    def __init__(self, text: str, reason: str = "") -> None:
        super().__init__(text)
        self.reason = reason or text


class ConsumerStoppedError(ConsumerError):
    """To go on would lose or falsify orders. Nothing was applied. The text says what a person must do."""


class LogChangedError(ConsumerStoppedError):
    """The topic is not the log that the tables were filled from.

    `partition` is None if the whole topic is another one. The ingresses are told, and answer 503.
    """

    def __init__(self, partition: int | None, text: str) -> None:
        super().__init__(text)
        self.partition = partition


class ClientStuckError(ConsumerError):
    """The client library gives no records although there are some. A new client is made, and nothing is lost."""
