"""Calls to a broker that may still be starting, with errors that say what to do."""

from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from contracts.settings import KafkaSettings
from deploy.errors import SetupError

REQUEST_TIMEOUT_S = 15.0
_RETRY_EVERY_S = 0.1
_PASSING = {KafkaError.LEADER_NOT_AVAILABLE, KafkaError.NOT_LEADER_FOR_PARTITION}

Answer = TypeVar("Answer")


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
        raise SetupError(
            f"Kafka at {settings.kafka_bootstrap}: {error.args[0].str()}\n"
            "Check ORDERS_KAFKA_BOOTSTRAP and ORDERS_KAFKA_PROPERTIES, and that the broker runs."
        ) from None


def _is_passing(error: BaseException) -> bool:
    return isinstance(error, KafkaException) and (
        error.args[0].retriable() or error.args[0].code() in _PASSING  # a broker answers so while it creates topics
    )
