"""The settings that every process needs. ORDERS_… variables give all settings, and are read once, at the start."""

import os
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as PydanticSettingsError

from contracts.access import user_of
from contracts.errors import OrdersError
from contracts.kafka_properties import REFUSED
from contracts.topics import Topics

PREFIX = "ORDERS_"

Settings = TypeVar("Settings", bound=BaseSettings)
KafkaProperty = str | int | float | bool


class SettingsError(OrdersError):
    """A setting is missing or wrong; the message names the variable and what it may be."""


class OrdersSettings(BaseSettings):
    """Base of all settings: prefix ORDERS_, frozen."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")


_NO_PASSWORD = "^[^@]+$"
"""Errors name the brokers. A user and a password belong into the properties."""


class KafkaSettings(OrdersSettings):
    """How to reach Kafka. `kafka_properties` is a JSON object of librdkafka properties (SASL, TLS, ...)."""

    kafka_bootstrap: Annotated[
        str, Field(pattern=_NO_PASSWORD, description="host:port of a broker, several with commas")
    ]
    kafka_properties: Annotated[
        dict[str, KafkaProperty],
        Field(description='a JSON object of librdkafka properties, {"security.protocol": "ssl"}', repr=False),
    ] = {}
    topic_prefix: Annotated[
        str,
        Field(
            pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$",
            description="letters, digits, dots, dashes: first part of the topics' names",
        ),
    ] = "orders"

    @field_validator("kafka_properties")
    @classmethod
    def _leaves_promises(cls, properties: dict[str, KafkaProperty]) -> dict[str, KafkaProperty]:
        refused = [f"{name} cannot be set: {REFUSED[name]}" for name in sorted(REFUSED.keys() & properties.keys())]
        if refused:
            raise ValueError("; ".join(refused))
        return properties

    @property
    def topics(self) -> Topics:
        return Topics(self.topic_prefix)

    def client_config(self, **ours: KafkaProperty) -> dict[str, KafkaProperty]:
        """The configuration of librdkafka: `ours`, with dots for underscores. The operator's properties win over it.

        No client makes topics. By default a producer does, if the broker lets it: with one partition, for seven days.
        """
        named = {name.replace("_", "."): value for name, value in ours.items()}
        return {
            "bootstrap.servers": self.kafka_bootstrap,
            "allow.auto.create.topics": False,
            "socket.nagle.disable": True,  # as Java's client: a small request does not wait for the one before
            **named,
            **self.kafka_properties,
        }

    @property
    def kafka_user(self) -> str:
        """Who this process is to the broker."""
        return user_of(self.kafka_properties)


class LedgerSettings(OrdersSettings):
    """How long the ledger keeps outcomes."""

    ledger_days: Annotated[
        int, Field(ge=1, le=3650, description="days for which outcomes are kept and can be sent again, 1 to 3650")
    ] = 7


def load(settings: type[Settings], **overrides: object) -> Settings:
    """The settings from the environment. Raises SettingsError that lists every variable that is missing or wrong.

    `overrides`: fields that win over the environment, such as the options of a command; None overrides nothing.
    """
    given: dict[str, Any] = {name: value for name, value in overrides.items() if value is not None}
    try:
        return settings(**given)
    except PydanticSettingsError:  # pydantic-settings parses dict fields as JSON first; there is one
        field = settings.model_fields["kafka_properties"]
        raise SettingsError(f"{PREFIX}KAFKA_PROPERTIES is not JSON. It should be: {field.description}.") from None
    except ValidationError as error:
        raise SettingsError("\n".join(_explanations(settings, error, given))) from None


def _explanations(settings: type[BaseSettings], error: ValidationError, given: Mapping[str, object]) -> list[str]:
    return [
        _explanation(settings, str(violation["loc"][0]), violation["type"], violation["msg"], given)
        for violation in error.errors(include_url=False, include_input=False)
    ]


def _explanation(settings: type[BaseSettings], name: str, kind: str, message: str, given: Mapping[str, object]) -> str:
    field = settings.model_fields[name]
    variable = PREFIX + name.upper()
    if kind == "missing":
        problem = "is not set"
    elif field.repr and "@" not in str(value := given.get(name, os.environ.get(variable))):
        problem = f"is {value!r}: {message}"
    else:  # the value may hold a password
        problem = f"is wrong: {message}"
    return f"{variable} {problem}. It should be: {field.description}."
