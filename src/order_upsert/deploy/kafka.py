"""Calls to a broker that may be slow to come up, with errors that say what to do."""

import logging
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from order_upsert.contracts.settings import KafkaSettings
from order_upsert.deploy.errors import SetupError

REQUEST_TIMEOUT_S = 15.0
_silent = logging.getLogger("order_upsert.deploy.kafka.client")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False

Answer = TypeVar("Answer")


def admin(settings: KafkaSettings) -> AdminClient:
    """A client for one command: what it would log is in the error that the command ends with."""
    return AdminClient(settings.client_config(client_id="orders"), logger=_silent)


def asked(settings: KafkaSettings, call: Callable[[], Answer]) -> Answer:
    """What `call` gives. Raises SetupError for what Kafka says against it."""
    try:
        return call()
    except KafkaException as error:
        raise SetupError(
            f"Kafka at {settings.kafka_bootstrap}: {error.args[0].str()}\n"
            "Check ORDERS_KAFKA_BOOTSTRAP and ORDERS_KAFKA_PROPERTIES, and that the broker runs."
        ) from None
