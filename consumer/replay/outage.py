"""What a replay says when it ends because Kafka or Postgres does not work."""

from consumer.errors import ConsumerStoppedError, DiskFullError, RetryLaterError

LIVE_TABLES_UNCHANGED = "The live tables are unchanged."
"""True of every error of a replay, because only the commit of a swap changes the live tables."""


def outage_error(error: RetryLaterError, schema: str) -> ConsumerStoppedError:
    """The error that ends a replay into `schema` because of an outage, with advice."""
    if isinstance(error, DiskFullError):
        advice = (
            f"The disk of Postgres is full. Make room: the tables in the schema {schema} grow as large as the live "
            "ones. Or drop what the replay has written so far, with: orders replay --drop"
        )
    else:
        advice = "Repair that first. If Postgres ended by itself, its log says whether its disk was full."
    return ConsumerStoppedError(
        f"{error}\n{advice}\n{LIVE_TABLES_UNCHANGED} Run the same command again: the replay goes on where it stopped."
    )
