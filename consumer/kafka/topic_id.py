"""Whether the topic is still the one that the tables were filled from."""

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType  # type: ignore[attr-defined]

from consumer.errors import ConsumerStoppedError, RetryLaterError
from contracts.topics import UPSERT_PARTITIONS

_TIMEOUT_S = 10.0


def topic_id(admin: AdminClient, topic: str) -> str:
    """The id that Kafka gave the topic.

    Raises ConsumerStoppedError if the topic is not as `orders setup` makes it, RetryLaterError if no broker answers.
    """
    try:
        described = admin.describe_topics(TopicCollection([topic]), request_timeout=_TIMEOUT_S)[topic].result()
        resource = ConfigResource(ResourceType.TOPIC, topic)
        config = admin.describe_configs([resource], request_timeout=_TIMEOUT_S)[resource].result()
    except KafkaException as error:
        code = error.args[0].code()
        if code == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise ConsumerStoppedError(f"The topic {topic} does not exist. Run: orders setup") from None
        if code == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            raise ConsumerStoppedError(f"Kafka does not allow this user to describe {topic}.") from None
        raise RetryLaterError(f"Kafka: {error.args[0].str()}") from error
    if len(described.partitions) != UPSERT_PARTITIONS:
        raise ConsumerStoppedError(
            f"The topic {topic} has {len(described.partitions)} partitions instead of {UPSERT_PARTITIONS}. The events "
            "of one order may be in two partitions. Do not go on: make a new topic and copy the events in order."
        )
    if config["message.timestamp.type"].value != "LogAppendTime":
        raise ConsumerStoppedError(f"The topic {topic} needs message.timestamp.type=LogAppendTime. Run: orders setup")
    return str(described.topic_id)
