"""Asks a broker about topics and rights. Reads the errors of its client: a wrong password shows nowhere else.

The consumer has the same in `consumer/kafka/broker.py`, because neither imports the other.
"""

import logging
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from threading import Event as Flag
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    OffsetSpec,
    ResourceType,
)

from contracts import access, kafka_errors
from contracts.log_identity import FoundLog, are_told
from contracts.settings import KafkaSettings
from contracts.topic_checks import Problem, Refusal, Told, Trouble, of_trouble, problems
from contracts.topic_spec import TopicFound
from contracts.topics import UPSERT_PARTITIONS

ANSWER_TIMEOUT_S = 5.0
_POLL_S = 0.02
_log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class Broker:
    """An AdminClient with the errors that it meets. For one thread."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._refused: str | None = None
        self._stopped = Flag()
        self._client = self._new_client()

    def _new_client(self) -> AdminClient:
        callback: Any = self._on_error
        config = self._settings.client_config(client_id="order-upsert-ingress", reconnect_backoff_max_ms=1000)
        return AdminClient({**config, "error_cb": callback}, logger=_log)

    def stop(self) -> None:
        """Waits for no answer any more. May be called by any thread."""
        self._stopped.set()

    def check(self, rights: access.Rights) -> tuple[list[Problem], Told]:
        """What is wrong with the topics of which `rights` speaks, and what the broker said of them."""
        settings = self._settings
        try:
            told = self._describe(rights)
        except _NotLetInError as error:
            text = access.not_let_in(settings.kafka_bootstrap, settings.kafka_user, str(error))
            return [Problem(Trouble.FORBIDDEN, text)], {}
        found = problems(settings.topics.specs(), told, rights, settings.kafka_user)
        if of_trouble(found, Trouble.UNANSWERED):
            # The client goes on to wait for the controller that it knows. If that one is down, another one answers.
            self._client = self._new_client()
        return found, told

    def find_log(self, topic: str, topic_id: str) -> FoundLog | None:
        """The log of orders.upserts as it is now; None if the broker does not tell.

        Then the next call asks by a new client: one that knew the log before Kafka was put back does not believe the
        older leader epochs of the broker, and never gets an answer.
        """
        partitions = [TopicPartition(topic, partition) for partition in range(UPSERT_PARTITIONS)]
        asked = [
            self._client.list_offsets(dict.fromkeys(partitions, spec), request_timeout=ANSWER_TIMEOUT_S)
            for spec in (OffsetSpec.earliest(), OffsetSpec.latest())  # type: ignore[no-untyped-call]
        ]
        try:
            firsts, ends = ({p.partition: self._answer(f).offset for p, f in futures.items()} for futures in asked)
        except (KafkaException, _NotLetInError) as error:
            _log.warning("the ends of %s are not known: %s", topic, error)
        else:
            if are_told([*firsts.values(), *ends.values()]):
                bounds = {partition: (firsts[partition], ends[partition]) for partition in ends}
                return FoundLog(topic, topic_id, bounds)
        self._client = self._new_client()
        return None

    def _describe(self, topics: Collection[str]) -> Told:
        asked = self._client.describe_topics(
            TopicCollection(list(topics)), include_authorized_operations=True, request_timeout=ANSWER_TIMEOUT_S
        )
        told: dict[str, TopicFound | Refusal] = {}
        for topic, future in asked.items():
            try:
                found = self._answer(future)
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
        return {**told, **self._with_config({t: f for t, f in told.items() if isinstance(f, TopicFound)})}

    def _with_config(self, found: Mapping[str, TopicFound]) -> Told:
        """The same, with the topics' settings."""
        if not found:
            return {}
        resources = [ConfigResource(ResourceType.TOPIC, topic) for topic in found]
        told: dict[str, TopicFound | Refusal] = {}
        for resource, future in self._client.describe_configs(resources, request_timeout=ANSWER_TIMEOUT_S).items():
            about = found[resource.name]
            try:
                config = {name: entry.value for name, entry in self._answer(future).items()}
            except KafkaException as error:
                told[resource.name] = _refusal(error, "DESCRIBE_CONFIGS")
                continue
            told[resource.name] = TopicFound(about.topic_id, about.partitions, about.replicas, config, about.rights)
        return told

    def _answer(self, future: "Future[Answer]") -> Answer:
        while not future.done():
            if self._stopped.is_set():
                raise KafkaException(KafkaError(KafkaError._DESTROY))
            self._client.poll(_POLL_S)
            if self._refused is not None:
                said, self._refused = self._refused, None
                raise _NotLetInError(said)
        return future.result()

    def _on_error(self, error: KafkaError) -> None:
        """While polling."""
        if error.name() in kafka_errors.AUTHENTICATION:
            self._refused = error.str()


class _NotLetInError(Exception):
    """The broker refuses this user."""


def _refusal(error: KafkaException, asked: str) -> Refusal:
    return Refusal(error.args[0].name(), error.args[0].str(), asked)
