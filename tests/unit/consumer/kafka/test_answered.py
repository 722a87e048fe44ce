"""What is committed in the end is what was noted last, in whatever order the commits are done."""

from typing import Any

from confluent_kafka import TopicPartition

from consumer.kafka.answered import Answered


class StandInConsumer:
    def __init__(self) -> None:
        self.commits: list[dict[int, int]] = []

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> None:
        self.commits.append({item.partition: item.offset for item in offsets})


def test_a_commit_that_was_sent_again_does_not_stay_over_a_newer_one() -> None:
    consumer: Any = StandInConsumer()
    answered = Answered("t")
    answered.note(consumer, {1: 7})
    answered.note(consumer, {1: 9})
    answered.commit_noted(consumer)
    answered.on_commit(None, [TopicPartition("t", 1, 9)])
    answered.commit_noted(consumer)
    assert consumer.commits == [{1: 7}, {1: 9}]
    answered.on_commit(None, [TopicPartition("t", 1, 7)])  # its broker went away before it answered
    answered.commit_noted(consumer)
    assert consumer.commits[2:] == [{1: 9}]
    answered.on_commit(None, [TopicPartition("t", 1, 9)])
    answered.forget(1)
    answered.on_commit(None, [TopicPartition("t", 1, 7)])  # the partition is somebody else's
    answered.commit_noted(consumer)
    assert len(consumer.commits) == 3
