"""`orders reseed`: the tables are the truth, and the topic is made to explain them."""

from collections.abc import Mapping

from confluent_kafka import ConsumerGroupState, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from rich.progress import Progress
from rich.table import Table
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from consumer.core.log_mark import Watermark
from consumer.kafka.producer import AcknowledgedProducer
from consumer.kafka.topic_id import topic_id
from consumer.postgres.connection import Connection
from consumer.postgres.fence import read_source, read_watermarks
from consumer.postgres.migrate import require_migrated
from consumer.replay.engine import OnProgress
from consumer.replay.schema import connected
from consumer.replay.schemas import drop_schema
from consumer.reseed import work
from consumer.reseed.plan import Plan, make_plan
from consumer.reseed.run import (
    BeginPhase,
    Result,
    count_unexplained,
    explain,
    read_differences,
    require_stopped,
    tell_ingresses,
    write,
)
from consumer.settings import ConsumerSettings
from contracts.limits import INT64_MAX
from contracts.topics import UPSERT_PARTITIONS
from deploy.admin import REQUEST_TIMEOUT_S, call_broker, reach
from deploy.console import confirm, err, out, progress_bar
from deploy.errors import NothingFoundError, SetupError
from deploy.kafka_settings import load_kafka
from deploy.stack_file import use_running_stack

GHOSTS_MAX_S = 15.0
"""Longer than the session of a member of the group."""


def reseed(*, yes: bool, dry_run: bool) -> None:
    """The options are those of `deploy.signatures.reseed`. Raises ConsumerError, SetupError, AbortedError."""
    use_running_stack()
    settings = load_kafka(ConsumerSettings)
    topics, both = settings.topics, frozenset({"READ", "WRITE"})
    rights = {topics.upserts: both, topics.dlq: both, topics.halts: frozenset({"WRITE"})}
    client = reach(settings, rights).client
    require_stopped(_is_running(settings, client))
    with connected(settings.postgres_url) as connection:
        require_migrated(connection)
        if not work.is_under_way(connection):
            _begin(settings, client, connection, yes, dry_run)
        elif dry_run:
            err.print("A reseed is under way. Without --dry-run it goes on.")
        else:
            err.print("Going on with the reseed that was ended.")
        if dry_run:
            return
        producer = AcknowledgedProducer(settings)
        tell_ingresses(settings, producer)
        with progress_bar() as progress:
            result = write(settings, connection, producer, _phases(progress))
        _set_answered(settings, client, read_watermarks(connection))
    _tell(result)


def _begin(settings: ConsumerSettings, client: AdminClient, connection: Connection, yes: bool, dry_run: bool) -> None:
    source = read_source(connection)
    if source is None:
        raise NothingFoundError("No consumer ever wrote to these tables: there is nothing to reseed.")
    topic = settings.topics.upserts
    now = topic, topic_id(client, topic)
    drop_schema(settings.postgres_url, work.RESEED_SCHEMA)
    with progress_bar() as progress:
        phases = _phases(progress)
        looked = phases("comparing the topic with the tables", UPSERT_PARTITIONS)
        plan = make_plan(settings, connection, now, source == now, lambda _: looked(1))
        is_replayed = explain(settings, plan, phases)
    rows, missing = count_unexplained(connection, is_replayed)
    _tell_plan(plan, rows, missing, source != now)
    if dry_run:
        drop_schema(settings.postgres_url, work.RESEED_SCHEMA)
        return
    if not rows and all(part.is_intact for part in plan.partitions) and source == now:
        drop_schema(settings.postgres_url, work.RESEED_SCHEMA)
        raise NothingFoundError("The topic explains every row of the tables: there is nothing to do.")
    confirm(f"Write {rows} events to {topic}, and read again from the offsets above?", yes)
    require_stopped(_is_running(settings, client))
    work.begin(connection, plan, read_differences(connection, is_replayed))


def _is_running(settings: ConsumerSettings, client: AdminClient) -> bool:
    """Whether the group keeps members. Not asked of its coordinator, which a new cluster has not made yet.

    A broker that was put back remembers members that are long gone, until their session ends.
    """

    def is_running() -> bool:
        listed = client.list_consumer_groups(request_timeout=REQUEST_TIMEOUT_S).result()
        if listed.errors:
            raise KafkaException(listed.errors[0])  # its coordinator may still be loading: then it is asked again
        return any(
            group.group_id == settings.topics.consumer_group
            and group.state not in (ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD)
            for group in listed.valid
        )

    found: bool = Retrying(
        retry=retry_if_result(bool),
        wait=wait_fixed(0.5),
        stop=stop_after_delay(GHOSTS_MAX_S),
        retry_error_callback=lambda _: True,
    )(call_broker, settings, is_running)
    return found


def _set_answered(settings: ConsumerSettings, client: AdminClient, watermarks: Mapping[int, Watermark]) -> None:
    """Nothing behind the fence was answered. Higher offsets of the group would look like a restore of Postgres.

    Lower ones stay: events before the fence may be applied and not answered yet.
    """
    topic, group = settings.topics.upserts, settings.topics.consumer_group

    def set_answered() -> None:
        found = client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result()
        answered = {at.partition: at.offset for at in found.topic_partitions if at.topic == topic and at.offset >= 0}
        offsets = [
            TopicPartition(
                topic, partition, max(mark.log_start, min(mark.next_offset, answered.get(partition, INT64_MAX)))
            )
            for partition, mark in watermarks.items()
        ]
        client.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, offsets)])[group].result()

    try:
        call_broker(settings, set_answered)
    except SetupError as error:
        err.print(f"The offsets of the group were not set: {error} The consumers only wait a little longer.")


def _phases(progress: Progress) -> BeginPhase:
    def begin(what: str, total: int) -> OnProgress:
        task = progress.add_task(what, total=total)
        return lambda done: progress.advance(task, done)

    return begin


def _tell_plan(plan: Plan, rows: int, missing: int, is_another_topic: bool) -> None:
    table = Table("partition", "applied up to", "log from", "to", "same up to", "lost", "new", "applied before")
    for part in plan.partitions:
        new = part.end - part.before - part.applied
        lost = max(part.fence - part.before, 0)
        numbers = part.partition, part.fence, part.log_start, part.end, part.before, lost, new, part.applied
        table.add_row(*map(str, numbers))
    out.print(table)
    if is_another_topic:
        out.print("The topic is not the one that the tables were filled from.")
    out.print(f"{rows} orders are not explained by the topic: each gets an event with the value of its row.")
    if missing:
        out.print(
            f"{missing} orders stand in the topic and not in the tables. An event cannot remove an order: a replay "
            "makes them again."
        )


def _tell(result: Result) -> None:
    out.print(f"{result.orders - len(result.unwritable)} orders were written to the topic.")
    if result.again:
        out.print(f"{result.again} new events of such orders were published once more, behind them.")
    if result.applied:
        out.print(f"{result.applied} events had been applied before; each has a letter, and counts no more.")
    for partner_id, order_id in result.unwritable[:20]:
        out.print(f"The row of {partner_id} / {order_id} is not a valid order, and was not written.", markup=False)
    out.print("Start the consumers. Then compare the tables with the topic: orders replay")
