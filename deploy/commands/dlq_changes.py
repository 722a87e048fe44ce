"""`orders dlq redrive`, `discard` and `reopen`: what becomes of dead letters."""

from collections.abc import Sequence
from itertools import islice

from uuid_utils.compat import uuid7

from consumer.core.repeats import CONFLICT, NEVER_APPLIED
from consumer.kafka.producer import AcknowledgedProducer
from consumer.letters.letter import Settled, settled_note
from consumer.letters.redriving import SEND_RECORDS_MAX, Failure, Redriver, parts
from consumer.letters.states import State
from consumer.replay.pace import Pace
from contracts.kafka_errors import Verdict
from contracts.settings import KafkaSettings
from deploy.commands.dlq import settings_of
from deploy.console import confirm, err, out, progress_bar
from deploy.errors import LettersLeftError
from deploy.letter_selection import Filters, Selected
from deploy.letter_texts import table_of

SHOWN_LETTERS_MAX = 100
"""Letters in the table that is shown before a change."""
FAILURES_SHOWN_MAX = 20


def redrive(filters: Filters, *, rate: float, yes: bool, dry_run: bool) -> None:
    """Publishes each event once, even if several letters hold it, and notes its letters as redriven. At most `rate`
    events a second. Raises LettersLeftError if something stays open."""
    settings = settings_of(writing=True)
    # The partner got a 422: nothing of the request is applied, now or later. A redrive would make that untrue.
    selected = Selected(settings, filters, never=lambda letter: letter.error in NEVER_APPLIED)
    if selected.never_count:
        err.print(
            f"{selected.never_count:,} letters are left out: their partners were told that they are not applied (422). "
            f"To close them: orders dlq discard --reason {CONFLICT}"
        )
    if not _is_agreed(selected, "redrive", yes, dry_run):
        return
    pace, redriver = Pace(rate), Redriver(settings, uuid7)
    done, failures = 0, list[Failure]()
    try:
        with progress_bar() as progress:
            task = progress.add_task("redriving", total=len(selected))
            for part in parts((letter for letter, _ in selected.letters()), pace.batch_max(SEND_RECORDS_MAX)):
                pace.take(len(part))
                failed = redriver.redrive(part)
                done += len(part) - len(failed)
                failures += failed[: FAILURES_SHOWN_MAX - len(failures)]
                progress.update(task, advance=len(part))
                if any(failure.verdict is not Verdict.RECORD for failure in failed):
                    break
    finally:
        out.print(
            f"{done:,} letters were redriven. Events that are refused again have new letters: orders dlq summary. The "
            "outcomes of one order: orders history ORDER_ID",
            highlight=False,
            soft_wrap=True,
        )
    _tell(failures, len(selected) - done)


def _tell(failures: Sequence[Failure], left: int) -> None:
    """Names what was not redriven. Raises LettersLeftError if there is such a letter."""
    for letter, _, why in failures:
        err.print(f"Letter {letter.id}, order {letter.order_id!r}: {why}.", markup=False, highlight=False)
    if left:
        raise LettersLeftError(
            f"{left:,} letters were not redriven, and stay open"
            + (f"; {len(failures)} of them are named above" if left > len(failures) else "")
            + ". When the cause is gone, run the same command again."
        )


def discard(filters: Filters, *, yes: bool, dry_run: bool) -> None:
    settings = settings_of(writing=True)
    selected = Selected(settings, filters)
    if _is_agreed(selected, "discard", yes, dry_run):
        _note(settings, selected, Settled.DISCARDED)
        out.print(f"{len(selected):,} letters were discarded. To take that back: orders dlq reopen")


def reopen(filters: Filters, *, yes: bool, dry_run: bool) -> None:
    """Takes discards back."""
    settings = settings_of(writing=True)
    selected = Selected(settings, filters, [State.DISCARDED])
    if _is_agreed(selected, "reopen", yes, dry_run):
        _note(settings, selected, Settled.REOPENED)
        out.print(f"{len(selected):,} letters are open again.")


def _note(settings: KafkaSettings, selected: Selected, settled: Settled) -> None:
    producer = AcknowledgedProducer(settings)
    for part in parts((letter for letter, _ in selected.letters()), SEND_RECORDS_MAX):
        producer.send(settled_note(letter, settled, settings.topics) for letter in part)


def _is_agreed(selected: Selected, verb: str, yes: bool, dry_run: bool) -> bool:
    """Whether there are letters and the person agrees. Raises AbortedError."""
    count = len(selected)
    if not count:
        out.print(f"There is no {'discarded' if verb == 'reopen' else 'open'} letter to {verb}.")
        if verb == "redrive" and (discarded := selected.count(State.DISCARDED)):
            out.print(f"{discarded:,} letters were discarded. To take that back: orders dlq reopen")
        return False
    if dry_run or not yes:
        out.print(table_of(islice(selected.letters(), SHOWN_LETTERS_MAX)))
        if count > SHOWN_LETTERS_MAX:
            out.print(f"… and {count - SHOWN_LETTERS_MAX:,} more. To see what they are: orders dlq summary")
    if dry_run:
        out.print(f"This would {verb} {count:,} letters. Nothing was done.")
        return False
    confirm(f"{verb.capitalize()} these {count:,} letters?", yes)
    return True
