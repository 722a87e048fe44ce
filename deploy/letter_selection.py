"""Selects dead letters by id, reason, partner, order, time and state."""

from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from confluent_kafka import Message

from consumer.kafka.topic_reader import TopicReader
from consumer.letters.letter import Letter, read_letter
from consumer.letters.states import LetterStates, State
from contracts.partitioner import partition_of
from contracts.settings import KafkaSettings
from contracts.topics import UPSERT_PARTITIONS
from deploy.console import progress_bar
from deploy.errors import SelectionError

Place = tuple[int, int]
"""Partition and offset of a letter in the dead-letter topic."""


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
            and (self.order is None or letter.is_of_order(self.order))
            and (self.since is None or time >= self.since)
            and (self.until is None or time < self.until)
        )

    def bounds(self, reader: TopicReader) -> tuple[dict[int, int], dict[int, int]]:
        """From where to where such letters, and the notes about them, may stand in each partition. The key of an event
        selects its letter's partition; notes stand behind letters. Raises ConsumerError."""
        places = sorted(map(_place, self.ids), reverse=True)
        partitions = {partition for partition, _ in places} & _ALL or _ALL
        if self.order and _UNREADABLE not in self.order:
            partitions = frozenset([partition_of(self.order.encode(), UPSERT_PARTITIONS)])
        starts, ends = reader.bounds(partitions)
        lowest = dict(places)  # of a partition, the last one counts
        return {p: min(max(start, lowest.get(p, start)), ends[p]) for p, start in starts.items()}, ends


_ALL = frozenset(range(UPSERT_PARTITIONS))
_UNREADABLE = "\ufffd"
"""Stands for bytes of a key that are not UTF-8, so the key is not known."""


class Selected:
    """The letters that match, in the states that are wanted, up to the end of the topic at the time of the call.

    Reads what of the topic can have such letters once, and what is asked for again. Keeps one byte for each record.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        filters: Filters,
        wanted: Collection[State] = (State.OPEN,),
        never: Callable[[Letter], bool] = lambda _: False,
    ) -> None:
        """`never`: letters that are only counted, as `never_count`. Raises SelectionError for an id that no letter in a
        wanted state has, and ConsumerError."""
        self._settings = settings
        self._wanted = wanted
        with closing(TopicReader(settings, settings.topics.dlq)) as reader, progress_bar() as progress:
            starts, ends = filters.bounds(reader)
            task = progress.add_task("dead letters", total=sum(ends.values()) - sum(starts.values()))
            self._states = LetterStates(starts, ends, lambda letter: not never(letter) and filters.let_through(letter))
            others = LetterStates(starts, ends, lambda letter: never(letter) and filters.let_through(letter))
            for chunk in reader.read(starts, ends):
                progress.update(task, completed=sum(chunk.positions.values()) - sum(starts.values()))
                for record in chunk.records:
                    letter = read_letter(record)
                    self._states.add_read(record, letter)
                    others.add_read(record, letter)
        self.never_count = others.count(wanted)
        for letter_id in sorted(filters.ids):
            states = [found.state(*_place(letter_id)) for found in (self._states, others)]
            if not any(state in wanted for state in states):
                raise SelectionError(_why_not(letter_id, next(filter(None, states), None)))

    def __len__(self) -> int:
        return self._states.count(self._wanted)

    def count(self, state: State) -> int:
        """Also of a state that is not wanted."""
        return self._states.count([state])

    def letters(self, places: Collection[Place] | None = None) -> Iterator[tuple[Letter, State]]:
        """Reads them again, by offset within each partition; or only those at these `places`, and no record before the
        first or behind the last of them. Raises ConsumerError."""

        def is_wanted(message: Message) -> bool:
            partition, offset = message.partition(), message.offset()
            if partition is None or self._states.state(partition, offset) not in self._wanted:
                return False
            return places is None or (partition, offset) in places

        bounds = self._states.bounds(self._wanted) if places is None else _bounds(places)
        with closing(TopicReader(self._settings, self._settings.topics.dlq)) as reader:
            for chunk in reader.read(*bounds, is_wanted):
                for letter in map(read_letter, chunk.records):
                    if letter is not None:
                        state = self._states.state(letter.record.partition, letter.record.offset)
                        assert state is not None
                        yield letter, state


def _bounds(places: Collection[Place]) -> tuple[dict[int, int], dict[int, int]]:
    """For each partition: the lowest offset, and the one after the highest."""
    starts = dict(sorted(places, reverse=True))
    return starts, {partition: offset + 1 for partition, offset in sorted(places)}


def _place(letter_id: str) -> Place:
    partition, _, offset = letter_id.partition(":")
    is_one = partition.isdecimal() and offset.isdecimal() and len(letter_id) <= 24
    return (int(partition), int(offset)) if is_one else (-1, -1)


def _why_not(letter_id: str, state: State | None) -> str:
    match state:
        case State.OPEN:
            return f"The letter {letter_id} is open: there is nothing to take back."
        case State.DISCARDED:
            return f"The letter {letter_id} was discarded. To take that back: orders dlq reopen {letter_id}"
        case State.REDRIVEN:
            return f"The letter {letter_id} was redriven. To see its outcome: orders history ORDER_ID"
    return f"No open letter {letter_id}. Ids are partition:offset; see: orders dlq list --all"
