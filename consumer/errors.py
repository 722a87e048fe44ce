"""What can happen to a batch: try it again, find the record that Postgres refuses, or call a person."""

from contracts.errors import OrdersError


class ConsumerError(OrdersError):
    """Root of this branch."""


class RetryLaterError(ConsumerError):
    """Postgres or Kafka cannot at the moment. Happens in every outage; the same batch is tried again, for ever."""


class DiskFullError(RetryLaterError):
    """The disk of Postgres. A consumer waits until there is room; what fills the disk itself has to end."""


class RefusedByPostgresError(ConsumerError):
    """Some record of the batch holds what the tables refuse. The batch is halved until the record is found."""


class ConsumerStoppedError(ConsumerError):
    """Going on would lose or falsify orders. Nothing was applied; the text says what a person must do."""
