"""Settings of the consumer and of everything else that talks to Postgres."""

import logging
from collections.abc import Callable
from typing import Annotated, Literal

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import AfterValidator, Field

from contracts.settings import (
    KafkaSettings,
    LedgerSettings,
    MetricsSettings,
    OrdersSettings,
    PortNumber,
    SettingsError,
    is_in_file,
    load,
)

_log = logging.getLogger(__name__)
_URL_PATTERN = r"^postgres(ql)?://"
_URL_IS = "postgresql://user:password@host:port/database"

_PLACES = "host", "hostaddr", "port", "dbname"
_ENCODED = "In a user or password, write @ as %40, / as %2F, : as %3A, # as %23, ? as %3F, % as %25, a space as %20"


def _readable(url: str) -> str:
    """Checks what libpq checks only when it connects. There a wrong port looks like an outage."""
    try:
        found = conninfo_to_dict(url)
    except (ProgrammingError, UnicodeError):  # its text contains the password
        raise ValueError(f"libpq cannot read it. {_ENCODED}") from None
    ports = str(found.get("port", "")).split(",")
    # An @ or a slash ends the password for libpq, and errors of the connection would tell the rest as a host or port.
    if url.partition("?")[0].count("@") > 1 or any("@" in str(found.get(name, "")) for name in _PLACES):
        raise ValueError(f"it has an @ too many. {_ENCODED}")
    if not all(not port or (port.isdecimal() and 0 < int(port) < 65536) for port in ports):
        raise ValueError("the port should be a number from 1 to 65535")
    return url


class PostgresSettings(OrdersSettings):
    """Where the tables are."""

    postgres_url: Annotated[
        str, Field(pattern=_URL_PATTERN, description=_URL_IS, repr=False), AfterValidator(_readable)
    ]


class OptionalPostgresSettings(OrdersSettings):
    """Where the tables are, for an ingress. It takes orders without them too."""

    postgres_url: Annotated[
        Annotated[str, AfterValidator(_readable)] | None,
        Field(pattern=_URL_PATTERN, description=_URL_IS, repr=False),
    ] = None


class CurrentUrl:
    """Called for each new connection: where the tables are, and with which password."""

    def __init__(self, known: str, read_again: Callable[[], str] | None = None) -> None:
        """`read_again`: None if it cannot change. If that raises SettingsError, the last known URL is given."""
        self._known = known
        self._read_again = read_again

    @property
    def may_change(self) -> bool:
        return self._read_again is not None

    def __call__(self) -> str:
        if self._read_again is not None:
            try:
                self._known = self._read_again()
            except SettingsError as error:
                _log.warning("the URL that was read last is used: %s", error)
        return self._known


def current_url(known: str) -> CurrentUrl:
    """Of this process. A URL in a file of ORDERS_SECRETS_DIR is read again, so that a password can be changed."""
    return CurrentUrl(known, _read_url if is_in_file("postgres_url") else None)


def _read_url() -> str:
    return load(PostgresSettings).postgres_url


class ConsumerSettings(KafkaSettings, PostgresSettings, LedgerSettings, MetricsSettings):
    """One consumer process."""

    group_protocol: Annotated[
        Literal["classic", "consumer"],
        Field(description="classic, or consumer (KIP-848) if the broker's session time-out is set to a few seconds"),
    ] = "classic"
    batch_records_max: Annotated[
        int, Field(ge=1, le=100_000, description="records in one transaction, 1 to 100000")
    ] = 2000
    health_host: Annotated[str, Field(min_length=1, description="the address of the health port, 0.0.0.0 for all")] = (
        "127.0.0.1"
    )
    health_port: Annotated[
        PortNumber | None, Field(description="a port for /healthz and /readyz, 1 to 65535; unset: none")
    ] = None
