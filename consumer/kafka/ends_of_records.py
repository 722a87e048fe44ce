"""Where the last record before an offset ends: not every offset has a record."""

from collections.abc import Callable, Mapping

from consumer.kafka.topic_reader import TopicReader

EndsOfRecords = Callable[[Mapping[int, int], Mapping[int, int]], Mapping[int, int]]
"""(starts, ends): for each partition, the offset after its last record between the two; the start if there is none."""

_FIRST_STEP = 16


def ends_of_answered(
    answered: Mapping[int, int], applied: Mapping[int, int], ends_of_records: EndsOfRecords
) -> Mapping[int, int]:
    """`answered`, without the offsets that are no records, of the partitions of which less is applied.

    No fence gets past the last record. Behind it are only markers of transactions; or the log was cut, and what will be
    written there is new.
    """
    behind = {partition: applied[partition] for partition, end in answered.items() if applied[partition] < end}
    if not behind:
        return answered
    return {**answered, **ends_of_records(behind, {partition: answered[partition] for partition in behind})}


def ends_of_records(reader: TopicReader, starts: Mapping[int, int], ends: Mapping[int, int]) -> dict[int, int]:
    """For each partition, the offset after its last record in [start, end); the start if there is none.

    Reads backwards, in steps that grow: usually the last offset has a record. Raises as TopicReader does.
    """
    _, log_ends = reader.bounds(ends.keys())
    upper = {partition: min(end, log_ends[partition]) for partition, end in ends.items()}
    found = {partition: starts[partition] for partition in ends}
    step = _FIRST_STEP
    while upper:
        lower = {partition: max(starts[partition], end - step) for partition, end in upper.items()}
        for chunk in reader.read(lower, upper):
            for record in chunk.records:
                found[record.partition] = max(found[record.partition], record.offset + 1)
        upper = {
            partition: start for partition, start in lower.items() if found[partition] == starts[partition] < start
        }
        step *= 2
    return found
