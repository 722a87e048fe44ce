"""What a replay says when it ends because Kafka or Postgres does not go on."""

from consumer.errors import ConsumerStoppedError, DiskFullError, RetryLaterError


def given_up(error: RetryLaterError, schema: str) -> ConsumerStoppedError:
    """Before a swap is committed, so the live tables are as they were."""
    if isinstance(error, DiskFullError):
        advice = (
            f"The disk of Postgres is full. Make room: the tables in the schema {schema} become as large as the live "
            "ones. Or give up what the replay has so far, with: orders replay --drop"
        )
    else:
        advice = "Mend that first. A Postgres that ended by itself says in its log whether its disk was full."
    return ConsumerStoppedError(
        f"{error}\n{advice}\nThe live tables are as they were. Run the same command again: the replay goes on where it "
        "was."
    )
