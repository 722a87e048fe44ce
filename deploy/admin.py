"""Calls to a broker that may be slow to come up, with errors that say what to do."""

import logging
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from contracts.settings import PREFIX, KafkaSettings, SettingsError, load
from deploy.errors import SetupError

REQUEST_TIMEOUT_S = 15.0
_RETRY_EVERY_S = 0.1
_PASSING = {KafkaError.LEADER_NOT_AVAILABLE, KafkaError.NOT_LEADER_FOR_PARTITION}
_log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Settings = TypeVar("Settings", bound=KafkaSettings)


def admin(settings: KafkaSettings) -> AdminClient:
    return AdminClient(settings.client_config(client_id="orders"), logger=_log)


def load_kafka(settings: type[Settings], **overrides: object) -> Settings:
    """Settings whose librdkafka properties exist. Raises SettingsError, before anything is started with them."""
    loaded = load(settings, **overrides)
    try:
        admin(loaded)
    except KafkaException as error:
        raise SettingsError(f"{PREFIX}KAFKA_PROPERTIES: {error.args[0].str()}") from None
    return loaded


def asked(settings: KafkaSettings, call: Callable[[], Answer]) -> Answer:
    """What `call` gives, tried again while Kafka says that this may help. Raises SetupError."""
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
        error.args[0].retriable() or error.args[0].code() in _PASSING  # what a broker says while topics are made
    )
