"""Settings of a command that talks to Kafka."""

import logging
from typing import TypeVar

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from contracts.settings import PREFIX, KafkaSettings, SettingsError, load

_log = logging.getLogger(__name__)

Settings = TypeVar("Settings", bound=KafkaSettings)


def load_kafka(settings: type[Settings], **overrides: object) -> Settings:
    """Loads the settings and checks that librdkafka knows their properties, before a process starts with them.

    Raises SettingsError.
    """
    loaded = load(settings, **overrides)
    try:
        AdminClient(loaded.client_config(client_id="orders", reconnect_backoff_max_ms=1000), logger=_log)
    except KafkaException as error:
        raise SettingsError(f"{PREFIX}KAFKA_PROPERTIES: {error.args[0].str()}") from None
    return loaded
