"""`orders setup`: creates missing topics and tables, and checks and corrects existing ones. Safe to run again."""

from concurrent.futures import Future
from functools import partial
from typing import Annotated

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)
from pydantic import Field
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from consumer.postgres.migrate import migrate
from consumer.settings import PostgresSettings
from contracts.settings import KafkaSettings
from contracts.topics import TopicSpec
from deploy.admin import REQUEST_TIMEOUT_S, call_broker
from deploy.errors import SetupError
from deploy.kafka_settings import admin


class SetupSettings(KafkaSettings, PostgresSettings):
    """Settings of `orders setup`."""

    replication_factor: Annotated[
        int | None,
        Field(ge=1, le=100, description="copies of each record, 3 in production; unset: the broker's default"),
    ] = None


def set_up_topics(settings: KafkaSettings, replication_factor: int | None) -> list[str]:
    """Creates the missing topics and returns their names. Raises SetupError if a topic has the wrong partitions."""
    client = admin(settings)
    specs = settings.topics.specs()
    known = call_broker(settings, lambda: client.list_topics(timeout=REQUEST_TIMEOUT_S).topics)
    for spec in specs:
        if spec.name in known:
            _require_partitions(spec, len(known[spec.name].partitions))
            call_broker(settings, partial(_correct_config, client, spec))
    missing = [spec for spec in specs if spec.name not in known]
    if missing:
        new = [NewTopic(spec.name, spec.partitions, replication_factor or -1, config=spec.config) for spec in missing]
        made = call_broker(settings, lambda: client.create_topics(new, request_timeout=REQUEST_TIMEOUT_S))
        for future in made.values():
            call_broker(settings, partial(_wait_until_made, future))
        _wait_until_known(settings, client, set(made))
    return [spec.name for spec in missing]


def set_up_tables(settings: PostgresSettings) -> list[str]:
    """Applies the missing migrations and returns their names. Raises ConsumerError."""
    return migrate(settings.postgres_url)


def _wait_until_known(settings: KafkaSettings, client: AdminClient, names: set[str]) -> None:
    """A broker learns of a new topic after a moment. A process that starts earlier is told that it does not exist."""

    def all_known() -> bool:
        return call_broker(settings, lambda: client.list_topics(timeout=REQUEST_TIMEOUT_S).topics.keys()) >= names

    Retrying(
        retry=retry_if_result(lambda known: not known),
        wait=wait_fixed(0.05),
        stop=stop_after_delay(REQUEST_TIMEOUT_S),
        retry_error_callback=lambda _: None,  # the topic is made; the wait is a courtesy
    )(all_known)


def _wait_until_made(made: "Future[None]") -> None:
    """A topic that exists by now is fine: another set-up made it meanwhile."""
    try:
        made.result()
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise


def _require_partitions(spec: TopicSpec, partitions: int) -> None:
    if partitions != spec.partitions:
        raise SetupError(
            f"The topic {spec.name} has {partitions} partitions instead of {spec.partitions}. With another number, "
            "the events of one order would not stay in order.\nChoose other names with ORDERS_TOPIC_PREFIX. Or delete "
            "the topic, if it is empty, and run this again."
        )


def _correct_config(client: AdminClient, spec: TopicSpec) -> None:
    resource = ConfigResource(ResourceType.TOPIC, spec.name)
    now = client.describe_configs([resource], request_timeout=REQUEST_TIMEOUT_S)[resource].result()
    wrong = {name: value for name, value in spec.config.items() if now[name].value != value}
    if wrong:
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in wrong.items()
        ]
        change = ConfigResource(ResourceType.TOPIC, spec.name, incremental_configs=entries)
        client.incremental_alter_configs([change], request_timeout=REQUEST_TIMEOUT_S)[change].result()
