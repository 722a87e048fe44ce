"""`orders setup`: creates missing topics and tables, and checks and corrects existing ones. Safe to run again."""

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Annotated, Any

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
from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_delay, wait_fixed

from consumer.errors import ConsumerError
from consumer.kafka.broker import Broker
from consumer.postgres.fence import put_back
from consumer.postgres.migrate import migrate
from consumer.postgres.publications import about_the_ledger
from consumer.replay.schema import connected
from consumer.settings import PostgresSettings
from contracts import kafka_errors
from contracts.settings import KafkaSettings
from contracts.topic_checks import Refusal, Told, Trouble, of_trouble, problems
from contracts.topic_spec import MIN_INSYNC, TopicFound, TopicSpec, corrections, min_insync
from deploy.admin import REQUEST_TIMEOUT_S, call_broker, naming_right, reach
from deploy.errors import SetupError


class SetupSettings(KafkaSettings, PostgresSettings):
    """Settings of `orders setup`."""

    replication_factor: Annotated[
        int | None,
        Field(ge=1, le=100, description="copies of each record, 3 in production; unset: the broker's default"),
    ] = None


def set_up_topics(settings: KafkaSettings, replication_factor: int | None) -> list[str]:
    """Creates the missing topics and corrects the settings of the others. Returns the names of what it created.

    Raises SetupError if a topic has the wrong partitions, or if Kafka does not let this user in or set topics up.
    """
    broker = reach(settings, {})
    specs = settings.topics.specs()
    known = _describe(settings, broker, specs)
    for spec in specs:
        if spec.name in known:
            _require_partitions(spec, known[spec.name].partitions)
    missing = [spec for spec in specs if spec.name not in known]
    if missing:
        _create(settings, broker.client, missing, replication_factor)
        known = _wait_for(settings, broker, specs, lambda known: len(known) == len(specs))
    if _correct_all(settings, broker.client, specs, known):
        _wait_for(settings, broker, specs, lambda known: not any(corrections(s, known[s.name]) for s in specs))
    return [spec.name for spec in missing]


def set_up_tables(settings: PostgresSettings) -> list[str]:
    """Applies the missing migrations and returns their names. Raises ConsumerError."""
    return migrate(settings.postgres_url)


def mend_tables(settings: PostgresSettings) -> list[str]:
    """Puts back a fence that somebody removed. Returns what to tell an operator of it, and of what he should change.

    Raises ConsumerError.
    """
    with connected(settings.postgres_url) as connection:
        fence = put_back(connection)
        told = about_the_ledger(connection)
    texts = [] if told is None else [told]
    if fence:
        texts.append(
            f"consumer_partition had no row of some partitions. They are back, at these offsets: {fence}. To see "
            "whether the orders are as the topic says, run: orders replay"
        )
    return texts


def _wait_for(
    settings: KafkaSettings, broker: Broker, specs: list[TopicSpec], is_done: Callable[[dict[str, TopicFound]], bool]
) -> dict[str, TopicFound]:
    """A broker learns of a change after a moment. A process that starts earlier would be told of the old state."""
    return Retrying(
        retry=retry_if_result(lambda known: not is_done(known)),
        wait=wait_fixed(0.05),
        stop=stop_after_delay(REQUEST_TIMEOUT_S),
        retry_error_callback=_last,  # the change is made; the wait is a courtesy
    )(lambda: _describe(settings, broker, specs))


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


def _create(
    settings: KafkaSettings, client: AdminClient, missing: list[TopicSpec], replication_factor: int | None
) -> None:
    insync = {} if replication_factor is None else {MIN_INSYNC: str(min_insync(replication_factor))}
    new = [
        NewTopic(spec.name, spec.partitions, replication_factor or -1, config={**spec.config, **insync})
        for spec in missing
    ]
    made = call_broker(settings, lambda: client.create_topics(new, request_timeout=REQUEST_TIMEOUT_S))
    for topic, future in made.items():
        with naming_right(settings, "CREATE", topic):
            call_broker(settings, partial(_wait_until_made, future))


def _describe(settings: KafkaSettings, broker: Broker, specs: list[TopicSpec]) -> dict[str, TopicFound]:
    """The topics that exist. Raises SetupError if the broker does not tell, because of a right or else."""

    def ask() -> Told:
        try:
            return broker.describe([spec.name for spec in specs])
        except ConsumerError as error:
            raise SetupError(str(error)) from None

    told = Retrying(
        retry=retry_if_result(lambda told: any(map(_is_passing, told.values()))),
        wait=wait_fixed(0.1),
        stop=stop_after_delay(REQUEST_TIMEOUT_S),
        retry_error_callback=_last,
    )(ask)
    nothing_asked = dict.fromkeys((spec.name for spec in specs), frozenset[str]())
    unclear = of_trouble(
        problems(specs, told, nothing_asked, settings.kafka_user), Trouble.FORBIDDEN, Trouble.UNANSWERED
    )
    if unclear:
        raise SetupError(unclear)
    return {topic: found for topic, found in told.items() if isinstance(found, TopicFound)}


def _last(state: RetryCallState) -> Any:
    assert state.outcome is not None
    return state.outcome.result()


def _is_passing(told: TopicFound | Refusal) -> bool:
    return isinstance(told, Refusal) and told.name in kafka_errors.OUTAGES - {"UNKNOWN_TOPIC_OR_PART"}


def _correct_all(
    settings: KafkaSettings, client: AdminClient, specs: list[TopicSpec], known: dict[str, TopicFound]
) -> bool:
    """Whether there was something to correct."""
    wrong = {spec.name: corrections(spec, known[spec.name]) for spec in specs if spec.name in known}
    for topic, values in wrong.items():
        if values:
            with naming_right(settings, "ALTER_CONFIGS", topic):
                call_broker(settings, partial(_alter, client, topic, values))
    return any(wrong.values())


def _alter(client: AdminClient, topic: str, values: dict[str, str]) -> None:
    entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in values.items()]
    change = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    client.incremental_alter_configs([change], request_timeout=REQUEST_TIMEOUT_S)[change].result()
