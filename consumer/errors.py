"""What to do after a failure: try the batch again, find the record that Postgres refuses, or ask a person."""

from contracts.errors import OrdersError


class ConsumerError(OrdersError):
    """The base of all errors of the consumer."""


class RetryLaterError(ConsumerError):
    """Postgres or Kafka does not work now. Happens in every outage. The same batch is tried again, for ever."""


class DiskFullError(RetryLaterError):
    """The disk of Postgres is full. A consumer waits for room. A replay fills the disk itself, so it ends."""


class RefusedByPostgresError(ConsumerError):
    """The tables refuse some record of the batch. The batch is halved until that record is found."""


class ConsumerStoppedError(ConsumerError):
    """To go on would lose or falsify orders. Nothing was applied. The text says what a person must do."""
