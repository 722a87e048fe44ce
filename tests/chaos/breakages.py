"""What upholds the promises, switched off one at a time, from outside of the product's code.

`python -m chaos.breakages NAME ingress|consumer` is started instead of `orders ingress` or `orders consumer`. A checker
is worth what it can find: README.md says which of these it finds, and how soon.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass

from chaos import broken_consumer, broken_field, broken_ingress
from deploy.cli import main


@dataclass(frozen=True, slots=True)
class Breakage:
    """`command` is the process that it changes, `invariants` are those of which at least one must find it.

    `shown_by`: kinds of fault without which it changes nothing. `disaster`: the one that its runs end with. `rival`:
    somebody must ask for the same keys.
    """

    command: str
    apply: Callable[[], None]
    invariants: tuple[str, ...]
    shown_by: tuple[str, ...] = ()
    disaster: str | None = None
    rival: bool = False


BREAKAGES = {
    "fence-not-locked": Breakage(
        "consumer", broken_consumer.fence_not_locked, ("I3", "I4", "I6", "I8"), ("consumer freeze",)
    ),
    "fence-not-checked": Breakage(
        "consumer", broken_consumer.fence_not_checked, ("I3", "I4", "I8"), ("consumer kill", "consumer-kafka cut")
    ),
    "fence-not-locked-and-copies": Breakage(
        "consumer", broken_consumer.fence_not_locked_and_copies, ("I3", "I4", "I6", "I8"), ("consumer freeze",)
    ),
    "fence-not-checked-and-copies": Breakage(
        "consumer",
        broken_consumer.fence_not_checked_and_copies,
        ("I3", "I4", "I8"),
        ("consumer kill", "consumer-kafka cut"),
    ),
    "fence-moved-after-the-commit": Breakage("consumer", broken_consumer.fence_moved_after_the_commit, ("I4",)),
    "gap-after-restore": Breakage("consumer", broken_consumer.gap_after_restore, ("I5", "I6"), ("postgres restore",)),
    "offsets-before-replies": Breakage(
        "consumer", broken_consumer.offsets_before_replies, ("I11",), ("consumer kill", "consumer term")
    ),
    "reply-before-commit": Breakage("consumer", broken_consumer.reply_before_commit, ("I1",), ("postgres sessions",)),
    "ledger-not-written": Breakage("consumer", broken_consumer.ledger_not_written, ("I3",)),
    "rows-not-read": Breakage("consumer", broken_consumer.rows_not_read, ("I8",)),
    "shuffled-batches": Breakage("consumer", broken_consumer.shuffled_batches, ("I4", "I5")),
    "lost-partitions-applied": Breakage(
        "consumer",
        broken_consumer.lost_partitions_applied,
        ("I3", "I4", "I6"),
        ("consumer freeze", "consumer-kafka stall"),
    ),
    "event-time-from-the-clock": Breakage("consumer", broken_consumer.event_time_from_the_clock, ("I5", "I7")),
    "dead-letters-dropped": Breakage("consumer", broken_consumer.dead_letters_dropped, ("I3", "I8")),
    "one-record-forgotten": Breakage("consumer", broken_consumer.one_record_forgotten, ("I1", "I3", "I11")),
    "offsets-never-committed": Breakage("consumer", broken_consumer.offsets_never_committed, ("I11",)),
    "copies-applied-again": Breakage("consumer", broken_consumer.copies_applied_again, ("I3", "I8")),
    "key-not-claimed": Breakage("consumer", broken_consumer.key_not_claimed, ("I3", "I8")),
    "conflicts-forgotten": Breakage(
        "consumer", broken_consumer.conflicts_forgotten, ("I1", "I3", "I7", "I8", "I10"), ("postgres restore",)
    ),
    "refused-after-publishing": Breakage("ingress", broken_ingress.refused_after_publishing, ("I10",)),
    "published-under-another-id": Breakage("ingress", broken_ingress.published_under_another_id, ("I3",)),
    "partner-from-the-body": Breakage("ingress", broken_ingress.partner_from_the_body, ("I9",)),
    "results-counted-twice": Breakage("ingress", broken_ingress.results_counted_twice, ("I8",), ("consumer kill",)),
    "answered-when-published": Breakage("ingress", broken_ingress.answered_when_published, ("I1", "I8")),
    "invalid-orders-published": Breakage("ingress", broken_ingress.invalid_orders_published, ("I2",)),
    "permanent-errors-retried": Breakage(
        "consumer", broken_field.permanent_errors_retried, ("I11",), ("poison records",)
    ),
    "large-letters-whole": Breakage("consumer", broken_field.large_letters_whole, ("I11",), ("poison records",)),
    "refused-orders-stop": Breakage("consumer", broken_field.refused_orders_stop, ("I11",), ("shop trigger",)),
    "rows-without-column-names": Breakage(
        "consumer", broken_field.rows_without_column_names, ("I1", "I5", "I11"), ("shop columns",)
    ),
    "log-not-checked": Breakage(
        "consumer", broken_field.log_not_checked, ("I1", "I5", "I6", "I11"), disaster="kafka put back"
    ),
    "offsets-believed": Breakage(
        "consumer", broken_field.offsets_believed, ("I1", "I5", "I6", "I11"), disaster="kafka tail cut"
    ),
    "days-dropped-by-the-brokers-clock": Breakage(
        "consumer", broken_field.days_dropped_by_the_brokers_clock, ("I1", "I3", "I7", "I8"), ("broker clock ahead",)
    ),
    "barrier-not-raised": Breakage(
        "consumer",
        broken_consumer.barrier_not_raised,
        ("I1", "I3", "I7", "I8", "I10"),
        ("postgres restore",),
        rival=True,
    ),
    "gap-after-failover": Breakage(
        "consumer", broken_consumer.gap_after_restore, ("I1", "I5", "I6"), disaster="replica promoted"
    ),
    "ingress-not-told": Breakage("ingress", broken_field.ingress_not_told, ("I11",), disaster="topic made again"),
}


def programs_of(name: str | None) -> dict[str, list[str]]:
    """What is started instead of which command."""
    if name is None:
        return {}
    command = BREAKAGES[name].command
    return {command: [sys.executable, "-m", "chaos.breakages", name, command]}


if __name__ == "__main__":
    BREAKAGES[sys.argv.pop(1)].apply()
    main()
