"""Set-up ends when what it made can be used. The client is a stand-in: no broker learns slowly on demand."""

from types import SimpleNamespace
from typing import Any, cast

from contracts.settings import KafkaSettings
from deploy.setup import _wait_until_known


class SlowToLearn:
    """Knows one topic more each time it is asked."""

    def __init__(self, *topics: str) -> None:
        self.topics = topics
        self.asked = 0

    def list_topics(self, timeout: float) -> Any:
        self.asked += 1
        return SimpleNamespace(topics=dict.fromkeys(self.topics[: self.asked]))


def test_set_up_waits_until_the_broker_knows_every_topic_that_was_made() -> None:
    client = SlowToLearn("other", "upserts", "results")
    _wait_until_known(KafkaSettings(kafka_bootstrap="127.0.0.1:1"), cast(Any, client), {"upserts", "results"})
    assert client.asked == 3
