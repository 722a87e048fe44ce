"""The events of letters that were too large to hold them, read from orders.upserts, where they still are."""

from collections.abc import Collection
from contextlib import closing

from consumer.core.record import Record
from consumer.kafka.topic_reader import TopicReader
from consumer.letters.letter import Letter
from contracts.settings import KafkaSettings


def with_originals(settings: KafkaSettings, letters: Collection[Letter]) -> tuple[list[Letter], list[Letter]]:
    """The letters with their whole events, and those whose events are no longer in the topic.

    Letters that hold their events are given as they are. Raises ConsumerError.
    """
    incomplete = [letter for letter in letters if letter.left_out]
    if not incomplete:
        return list(letters), []
    whole: list[Letter] = []
    gone: list[Letter] = []
    with closing(TopicReader(settings, settings.topics.upserts)) as reader:
        first, ends = reader.bounds({letter.partition for letter in incomplete})
        for letter in letters:
            if not letter.left_out:
                whole.append(letter)
                continue
            is_there = first[letter.partition] <= letter.offset < ends[letter.partition]
            original = _read(reader, letter) if is_there else None
            if original is None:
                gone.append(letter)
            else:
                whole.append(letter.with_event(original))
    return whole, gone


def _read(reader: TopicReader, letter: Letter) -> Record | None:
    """None if another record stands there now: the topic was deleted and made again."""
    place = letter.partition, letter.offset
    for chunk in reader.read({place[0]: place[1]}, {place[0]: place[1] + 1}):
        for record in chunk.records:
            if letter.is_of(record):
                return record
    return None
