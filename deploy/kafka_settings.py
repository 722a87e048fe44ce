"""Settings of a command that talks to Kafka."""

import logging
import re
from collections.abc import Mapping
from typing import TypeVar

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from contracts.settings import PREFIX, KafkaProperty, KafkaSettings, SettingsError, load

_log = logging.getLogger(__name__)

_SECRET = re.compile(r"password|secret|token|pem|key|oauthbearer\.config|kerberos")

Settings = TypeVar("Settings", bound=KafkaSettings)


def load_kafka(settings: type[Settings], **overrides: object) -> Settings:
    """Loads the settings and checks that librdkafka knows their properties, before a process starts with them.

    Raises SettingsError.
    """
    loaded = load(settings, **overrides)
    try:
        AdminClient(loaded.client_config(client_id="orders", reconnect_backoff_max_ms=1000), logger=_log)
    except KafkaException as error:
        text = _without_secrets(error.args[0].str(), loaded.kafka_properties)
        raise SettingsError(f"{PREFIX}KAFKA_PROPERTIES: {text}") from None
    return loaded


def _without_secrets(text: str, properties: Mapping[str, KafkaProperty]) -> str:
    """librdkafka quotes values that it does not understand."""
    for name, value in properties.items():
        if _SECRET.search(name):
            text = text.replace(str(value), "***")
    return text
