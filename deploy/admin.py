"""Calls to a broker that may still be starting, with errors that say what to do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from consumer.errors import ConsumerError
from consumer.kafka.broker import ANSWER_TIMEOUT_S, Broker
from contracts.access import Rights, lacks
from contracts.kafka_errors import AUTHORIZATION
from contracts.settings import KafkaSettings
from deploy.errors import SetupError

REQUEST_TIMEOUT_S = 15.0
_RETRY_EVERY_S = 0.1
_PASSING = {
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
}
_ADVICE = {
    KafkaError.INVALID_REPLICATION_FACTOR: "Start as many brokers as ORDERS_REPLICATION_FACTOR says, or set it lower.",
}

Answer = TypeVar("Answer")


class RefusedError(SetupError):
    """Kafka does not let this user do something. `naming_right` says what."""


def reach(settings: KafkaSettings, rights: Rights) -> Broker:
    """A broker that answers, and lets this user do what `rights` says. Within 10 s, raises SetupError otherwise."""
    broker = Broker(settings)
    try:
        broker.require_reachable(min(REQUEST_TIMEOUT_S, ANSWER_TIMEOUT_S))
        broker.require_rights(rights)
    except ConsumerError as error:
        raise SetupError(str(error)) from None
    return broker


def call_broker(settings: KafkaSettings, call: Callable[[], Answer]) -> Answer:
    """The result of `call`. Calls it again for up to REQUEST_TIMEOUT_S if Kafka's error may pass. Raises SetupError."""
    try:
        return Retrying(
            retry=retry_if_exception(_is_passing),
            wait=wait_fixed(_RETRY_EVERY_S),
            stop=stop_after_delay(REQUEST_TIMEOUT_S),
            reraise=True,
        )(call)
    except KafkaException as error:
        if error.args[0].name() in AUTHORIZATION:
            raise RefusedError(error.args[0].str()) from None
        advice = _ADVICE.get(
            error.args[0].code(),
            "Check ORDERS_KAFKA_BOOTSTRAP and ORDERS_KAFKA_PROPERTIES, and that the broker runs.",
        )
        said = error.args[0].str().rstrip(".")
        raise SetupError(f"Kafka at {settings.kafka_bootstrap}: {said}.\n{advice}") from None


@contextmanager
def naming_right(settings: KafkaSettings, right: str, topic: str) -> Iterator[None]:
    """Turns a refusal of Kafka into SetupError that says which right is missing."""
    try:
        yield
    except RefusedError:
        raise SetupError(lacks(settings.kafka_user, right, "topic", topic)) from None


def _is_passing(error: BaseException) -> bool:
    return isinstance(error, KafkaException) and (
        error.args[0].retriable() or error.args[0].code() in _PASSING  # a broker answers so while it creates topics
    )
