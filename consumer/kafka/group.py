"""How a consumer process is a member of its group, and how much it fetches ahead: librdkafka's properties."""

from consumer.settings import ConsumerSettings


def group_config(settings: ConsumerSettings) -> dict[str, object]:
    """The settings of the client library for a member of the consumer group."""
    # The broker removes a silent member after 6 s. In KIP-848 groups only the broker sets these times.
    protocol: dict[str, str | int] = (
        {"group_protocol": "consumer"}
        if settings.group_protocol == "consumer"
        else {
            "group_protocol": "classic",
            "partition_assignment_strategy": "cooperative-sticky",
            "heartbeat_interval_ms": 500,
            "session_timeout_ms": 6000,
        }
    )
    return {
        **settings.client_config(
            client_id="order-upsert-consumer",
            group_id=settings.topics.consumer_group,
            enable_auto_commit=False,
            enable_auto_offset_store=False,
            auto_offset_reset="error",
            enable_partition_eof=True,  # says up to where there are no records, only markers of transactions
            isolation_level="read_committed",
            fetch_queue_backoff_ms=5,
            # These limit what is fetched ahead, and so the memory of this process. A fetch is compressed: its records
            # are usually five times as large, and sometimes a hundred times.
            queued_max_messages_kbytes=8 * 1024,
            fetch_max_bytes=1024 * 1024,
            max_partition_fetch_bytes=64 * 1024,
            fetch_wait_max_ms=500,
            topic_metadata_refresh_interval_ms=5_000,  # so that more partitions than there must be are noticed
            reconnect_backoff_max_ms=1000,
            **protocol,
        )
    }
