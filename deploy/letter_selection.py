"""Selects dead letters by id, reason, partner, order and time."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from consumer.core.record import Record
from consumer.kafka.topic_reader import TopicReader
from consumer.letters.letter import Letter, LetterBox, Settled
from contracts.settings import KafkaSettings
from contracts.topics import UPSERT_PARTITIONS
from deploy.console import progress_bar
from deploy.errors import SelectionError

LETTERS_MAX = 50_000
"""Letters in one command. Each is kept in memory, with its event."""


@dataclass(frozen=True)
class Filters:
    """What a letter must match. None and an empty set match every letter.

    `reason` is an error class or part of the reason. `since` is inclusive, `until` exclusive.
    """

    ids: frozenset[str] = frozenset()
    reason: str | None = None
    partner: str | None = None
    order: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def let_through(self, letter: Letter) -> bool:
        time = letter.time
        return (
            (not self.ids or letter.id in self.ids)
            and (self.reason is None or self.reason == letter.error or self.reason.lower() in letter.reason.lower())
            and (self.partner is None or self.partner == letter.partner_id)
            and (self.order is None or self.order == letter.order_id)
            and (self.since is None or time >= self.since)
            and (self.until is None or time < self.until)
        )


def find_letters(
    settings: KafkaSettings, filters: Filters, *, settled_too: bool = False
) -> list[tuple[Letter, Settled | None]]:
    """Letters that match, each with how it was settled. In each partition the oldest event comes first.

    Reads the whole dead-letter topic, up to its end at the time of the call. Raises SelectionError and ConsumerError.
    """
    box = LetterBox(filters.let_through, settled_too=settled_too)
    for records in _records(settings):
        box.add(records)
        if len(box) > LETTERS_MAX:
            raise SelectionError(
                f"More than {LETTERS_MAX} letters. Choose fewer with --reason, --partner, --order, --since or --until."
            )
    found = box.letters()
    unknown = filters.ids - {letter.id for letter, _ in found}
    if unknown:
        raise SelectionError(
            f"No open letter {', '.join(sorted(unknown))}. Ids are partition:offset; see: orders dlq list --all"
        )
    return found


def _records(settings: KafkaSettings) -> Iterator[list[Record]]:
    with closing(TopicReader(settings, settings.topics.dlq)) as reader, progress_bar() as progress:
        starts, ends = reader.bounds(range(UPSERT_PARTITIONS))
        task = progress.add_task("dead letters", total=sum(ends.values()) - sum(starts.values()))
        for chunk in reader.read(starts, ends):
            progress.update(task, completed=sum(chunk.positions.values()) - sum(starts.values()))
            yield chunk.records
