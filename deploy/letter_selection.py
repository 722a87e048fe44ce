"""Which dead letters a command is about: by id, or by reason, partner, order and time."""

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
"""Letters in one command. Each is kept in memory, with the event that it holds."""


@dataclass(frozen=True)
class Filters:
    """What a letter must be; None and empty: anything. `reason`: a class of errors, or a part of the reason."""

    ids: frozenset[str] = frozenset()
    reason: str | None = None
    partner: str | None = None
    order: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def let_through(self, letter: Letter) -> bool:
        time = letter.record.time
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
    """Letters that pass, the oldest event first in each partition, each with what was done about it.

    Reads the whole dead-letter topic, to its end of this moment. Raises SelectionError and ConsumerError.
    """
    box = LetterBox(filters.let_through, settled_too=settled_too)
    for records in _records(settings):
        box.add(records)
        if len(box) > LETTERS_MAX:
            raise SelectionError(
                f"More than {LETTERS_MAX} letters. Choose fewer, with --reason, --partner, --order, --since or --until."
            )
    found = box.letters()
    unknown = filters.ids - {letter.id for letter, _ in found}
    if unknown:
        raise SelectionError(
            f"No open letter {', '.join(sorted(unknown))}. Ids are partition:offset, as in: orders dlq list --all"
        )
    return found


def _records(settings: KafkaSettings) -> Iterator[list[Record]]:
    with closing(TopicReader(settings, settings.topics.dlq)) as reader, progress_bar() as progress:
        starts, ends = reader.bounds(range(UPSERT_PARTITIONS))
        task = progress.add_task("dead letters", total=sum(ends.values()) - sum(starts.values()))
        for chunk in reader.read(starts, ends):
            progress.update(task, completed=sum(chunk.positions.values()) - sum(starts.values()))
            yield chunk.records
