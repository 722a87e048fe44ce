"""The settings that every process needs. ORDERS_… variables, or files of ORDERS_SECRETS_DIR, give all settings.

They are read once, at the start, but for what `is_in_file` lets a process read again.
"""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as PydanticSettingsError

from contracts.access import user_of
from contracts.errors import OrdersError
from contracts.kafka_properties import REFUSED
from contracts.topics import Topics

PREFIX = "ORDERS_"
SECRETS_DIR = f"{PREFIX}SECRETS_DIR"

Settings = TypeVar("Settings", bound=BaseSettings)
KafkaProperty = str | int | float | bool
PortNumber = Annotated[int, Field(ge=1, le=65535)]


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


class MetricsSettings(OrdersSettings):
    """Where Prometheus reads what a process counts."""

    metrics_host: Annotated[
        str, Field(min_length=1, description="the address of the metrics port, 0.0.0.0 for all")
    ] = "127.0.0.1"
    metrics_port: Annotated[PortNumber | None, Field(description="a port for /metrics, 1 to 65535; unset: none")] = None


def load(settings: type[Settings], **overrides: object) -> Settings:
    """The settings from the environment, then from ORDERS_SECRETS_DIR.

    Raises SettingsError that lists everything that is missing or wrong. `overrides`: fields that win over both, such as
    the options of a command; None overrides nothing.
    """
    given: dict[str, Any] = {name: value for name, value in overrides.items() if value is not None}
    try:
        with warnings.catch_warnings():
            # pydantic-settings only warns of a file that it cannot use.
            warnings.filterwarnings("error", "attempted to load secret file", UserWarning)
            return settings(_secrets_dir=_secrets_dir(), **given)
    except PydanticSettingsError as error:
        if isinstance(error.__cause__, Warning | OSError | UnicodeError):
            raise SettingsError(_about_file(error.__cause__)) from None
        field = settings.model_fields["kafka_properties"]  # dict fields are parsed as JSON first; there is one
        raise SettingsError(f"{PREFIX}KAFKA_PROPERTIES is not JSON. It should be: {field.description}.") from None
    except (Warning, OSError, UnicodeError) as error:
        raise SettingsError(_about_file(error)) from None
    except ValidationError as error:
        raise SettingsError("\n".join(_explanations(settings, error, given))) from None


def is_in_file(name: str) -> bool:
    """Whether this setting stands in a file of ORDERS_SECRETS_DIR, so that it may change while a process runs."""
    folder = _secrets_dir()
    variable = PREFIX + name.upper()
    if folder is None or variable in os.environ:
        return False
    return any(file.name.upper() == variable for file in folder.iterdir())


def _secrets_dir() -> Path | None:
    """Raises SettingsError."""
    if not (named := os.environ.get(SECRETS_DIR)):
        return None
    folder = Path(named)
    if not folder.is_dir():
        raise SettingsError(
            f"{SECRETS_DIR} is {named!r}, which is no folder. It should be: a folder with a file for each setting that "
            f"is secret, such as {PREFIX.lower()}postgres_url."
        )
    return folder


def _about_file(error: BaseException) -> str:
    """The text of a UnicodeError would quote the secret."""
    said = "it is not UTF-8" if isinstance(error, UnicodeError) else str(error)
    return f"A file of {SECRETS_DIR} cannot be read: {said}. Mend its rights, its link or its content."


def _explanations(settings: type[BaseSettings], error: ValidationError, given: Mapping[str, object]) -> list[str]:
    return [
        _explanation(settings, str(violation["loc"][0]), violation["type"], violation["msg"], given)
        for violation in error.errors(include_url=False, include_input=False)
    ]


def _explanation(settings: type[BaseSettings], name: str, kind: str, message: str, given: Mapping[str, object]) -> str:
    field = settings.model_fields[name]
    variable = PREFIX + name.upper()
    value = given.get(name, os.environ.get(variable))
    if kind == "missing":
        problem = "is not set"
    elif value is None:
        problem = f"in {SECRETS_DIR} is wrong: {message}"
    elif field.repr and "@" not in str(value):
        problem = f"is {value!r}: {message}"
    else:  # the value may hold a password
        problem = f"is wrong: {message}"
    return f"{variable} {problem}. It should be: {field.description}."
