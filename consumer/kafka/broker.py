"""Asks a broker about topics and rights. Reads the errors of its client: a wrong password shows nowhere else.

The ingress has the same in `ingress/broker.py`, because neither imports the other.
"""

import logging
import time
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType  # type: ignore[attr-defined]

from consumer.errors import ConsumerStoppedError, RetryLaterError
from contracts import access, kafka_errors
from contracts.settings import KafkaSettings
from contracts.topic_checks import Problem, Refusal, Told, Trouble, of_trouble, problems
from contracts.topic_spec import TopicFound
from contracts.topics import UPSERT_PARTITIONS

ANSWER_TIMEOUT_S = 8.0
"""So that a person has the answer within 10 s, whatever is wrong."""
_POLL_S = 0.02
_log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class Broker:
    """An AdminClient with the errors that it meets."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Raises KafkaException if librdkafka does not know a property."""
        self._settings = settings
        self._refused: str | None = None
        self._last = ""
        config = settings.client_config(client_id="order-upsert-admin", reconnect_backoff_max_ms=1000)
        callback: Any = self._on_error
        self.client = AdminClient({**config, "error_cb": callback}, logger=_log)

    def require_reachable(self, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        """Returns when a broker answers. Raises ConsumerStoppedError if it refuses this user, else RetryLaterError."""
        until_s = time.monotonic() + timeout_s
        topic, said = self._settings.topics.upserts, KafkaError(KafkaError._TIMED_OUT)
        while (left_s := until_s - time.monotonic()) > 0:
            asked = self.client.describe_topics(TopicCollection([topic]), request_timeout=max(left_s, 0.1))
            try:
                self.answer(asked[topic])
            except KafkaException as error:
                said = error.args[0]
                if said.name() not in kafka_errors.OUTAGES or said.name().startswith("UNKNOWN_TOPIC"):
                    return  # an answer all the same
                time.sleep(_POLL_S)
            else:
                return
        raise RetryLaterError(self._no_answer(said))

    def answer(self, future: "Future[Answer]") -> Answer:
        """Raises KafkaException, or ConsumerStoppedError as soon as the broker refuses this user."""
        while not future.done():
            self.client.poll(_POLL_S)
            self._raise_if_refused()
        return future.result()

    def describe(self, topics: Collection[str]) -> Told:
        """What the broker says of each topic. Raises ConsumerStoppedError if it refuses this user."""
        told = self._describe_topics(topics)
        return {**told, **self._with_config({t: f for t, f in told.items() if isinstance(f, TopicFound)})}

    def require_rights(self, rights: access.Rights) -> None:
        """This user may do what `rights` says. Says nothing about topics that do not exist.

        Raises ConsumerStoppedError.
        """
        user = self._settings.kafka_user
        lacking: list[str] = []
        for topic, told in self._describe_topics(rights).items():
            if isinstance(told, TopicFound):
                lacking += access.missing_rights(user, topic, rights[topic], told.rights)
            elif told.name in kafka_errors.AUTHORIZATION:
                lacking += (access.lacks(user, r, "topic", topic) for r in access.lacking("DESCRIBE", rights[topic]))
        if lacking:
            raise ConsumerStoppedError("\n".join(lacking))

    def _describe_topics(self, topics: Collection[str]) -> Told:
        asked = self.client.describe_topics(
            TopicCollection(list(topics)), include_authorized_operations=True, request_timeout=ANSWER_TIMEOUT_S
        )
        told: dict[str, TopicFound | Refusal] = {}
        for topic, future in asked.items():
            try:
                found = self.answer(future)
            except KafkaException as error:
                told[topic] = _refusal(error, "DESCRIBE")
                continue
            operations = found.authorized_operations
            told[topic] = TopicFound(
                str(found.topic_id),
                len(found.partitions),
                min((len(partition.replicas) for partition in found.partitions), default=0),
                rights=None if operations is None else frozenset(operation.name for operation in operations),
            )
        return told

    def _with_config(self, found: Mapping[str, TopicFound]) -> Told:
        """The same, with the topics' settings."""
        if not found:
            return {}
        resources = [ConfigResource(ResourceType.TOPIC, topic) for topic in found]
        told: dict[str, TopicFound | Refusal] = {}
        for resource, future in self.client.describe_configs(resources, request_timeout=ANSWER_TIMEOUT_S).items():
            about = found[resource.name]
            try:
                config = {name: entry.value for name, entry in self.answer(future).items()}
            except KafkaException as error:
                told[resource.name] = _refusal(error, "DESCRIBE_CONFIGS")
                continue
            told[resource.name] = TopicFound(about.topic_id, about.partitions, about.replicas, config, about.rights)
        return told

    def problems(self, rights: access.Rights) -> list[Problem]:
        """What is wrong with the topics of which `rights` speaks. Raises ConsumerStoppedError as `describe`."""
        return problems(self._settings.topics.specs(), self.describe(rights), rights, self._settings.kafka_user)

    def require(self, rights: access.Rights) -> None:
        """The topics are what they must be, and this user may do what `rights` says.

        Not asked is whether it may read as its group: that is told when it joins. An Admin client asks the group's
        coordinator, and if the connection breaks meanwhile, librdkafka aborts the process (its issue 4605).

        Raises ConsumerStoppedError with a sentence for each thing that is wrong, RetryLaterError without an answer.
        """
        found = self.problems(rights)
        lacking = of_trouble(found, Trouble.FORBIDDEN, Trouble.ABSENT, Trouble.WRONG)
        if lacking:
            raise ConsumerStoppedError(lacking)
        if found:
            raise RetryLaterError(of_trouble(found, Trouble.UNANSWERED))

    def _on_error(self, error: KafkaError) -> None:
        """While polling."""
        self._last = error.str()
        if error.name() in kafka_errors.AUTHENTICATION:
            self._refused = error.str()

    def _raise_if_refused(self) -> None:
        if self._refused is not None:
            said, self._refused = self._refused, None
            raise ConsumerStoppedError(
                access.not_let_in(self._settings.kafka_bootstrap, self._settings.kafka_user, said)
            )

    def _no_answer(self, error: KafkaError) -> str:
        return (
            f"Kafka at {self._settings.kafka_bootstrap}: {error.str()} {self._last}\nCheck ORDERS_KAFKA_BOOTSTRAP and "
            "ORDERS_KAFKA_PROPERTIES, and that the broker runs."
        )


def _refusal(error: KafkaException, asked: str) -> Refusal:
    return Refusal(error.args[0].name(), error.args[0].str(), asked)


def require_known(topic: str, partitions: Iterable[int]) -> None:
    """Raises ConsumerStoppedError if the topic was given more partitions while the consumers ran."""
    highest = max(partitions, default=0)
    if highest >= UPSERT_PARTITIONS:
        raise ConsumerStoppedError(
            f"The topic {topic} has a partition {highest}, and must have {UPSERT_PARTITIONS} partitions: the events of "
            "one order may stand in two of them. Do not go on; make a new topic and copy the events in order."
        )


def stopped_by(settings: KafkaSettings, error: KafkaError, topic: str, right: str) -> ConsumerStoppedError:
    """For an error that no waiting ends. `right`: what the broker would not let this user do with the topic."""
    user = settings.kafka_user
    if error.name() in kafka_errors.AUTHENTICATION:
        return ConsumerStoppedError(access.not_let_in(settings.kafka_bootstrap, user, error.str()))
    if error.name() == "GROUP_AUTHORIZATION_FAILED":
        return ConsumerStoppedError(access.lacks(user, "READ", "group", settings.topics.consumer_group))
    if error.name() in kafka_errors.AUTHORIZATION:
        return ConsumerStoppedError(access.lacks(user, right, "topic", topic))
    return ConsumerStoppedError(
        f"Kafka does not go on with {topic}: {error.name()}, {error.str()}. The next start does the remaining work. If "
        "it ends in the same way, mend what the error names."
    )
