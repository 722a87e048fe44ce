"""Settings of the consumer and of everything else that talks to Postgres."""

from typing import Annotated, Literal

from pydantic import Field

from order_upsert.contracts.settings import KafkaSettings, LedgerSettings, OrdersSettings

_URL_PATTERN = r"^postgres(ql)?://"
_URL_IS = "postgresql://user:password@host:port/database"


class PostgresSettings(OrdersSettings):
    """Where the tables are."""

    postgres_url: Annotated[str, Field(pattern=_URL_PATTERN, description=_URL_IS, repr=False)]


class OptionalPostgresSettings(OrdersSettings):
    """Where the tables are, for an ingress: it takes orders without them."""

    postgres_url: Annotated[str | None, Field(pattern=_URL_PATTERN, description=_URL_IS, repr=False)] = None


class ConsumerSettings(KafkaSettings, PostgresSettings, LedgerSettings):
    """One consumer process."""

    group_protocol: Annotated[
        Literal["classic", "consumer"],
        Field(description="classic, or consumer (KIP-848) where the broker's session time-out is set to some seconds"),
    ] = "classic"
    batch_records_max: Annotated[
        int, Field(ge=1, le=100_000, description="records in one transaction, 1 to 100000")
    ] = 2000
