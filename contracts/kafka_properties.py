"""The properties of librdkafka that an operator may not set, each with the reason.

With other values orders could be lost, applied twice or answered wrongly, or a client does not start. The names are
those of CONFIGURATION.md of librdkafka. A test holds that each is either here or in its list of those that may be set.
"""

_CHOSEN = "this program chooses it for each of its clients"
_GROUP = "the order of events depends on how consumers share the partitions"
_POSITIONS = "this program keeps its own positions, beside the tables"
_LIMITS = "it must fit the limits of the topics, and a client with other limits does not start"
_PRODUCER = "a record must be in all in-sync replicas once, and in order"
_CALLS = "it is code of a program, not a setting"

REFUSED: dict[str, str] = {
    "bootstrap.servers": "ORDERS_KAFKA_BOOTSTRAP says it",
    "metadata.broker.list": "ORDERS_KAFKA_BOOTSTRAP says it",
    "allow.auto.create.topics": "a topic that a broker makes has one partition and forgets: run `orders setup`",
    "topic.blacklist": "it can hide the topics",
    **dict.fromkeys(
        ("api.version.request", "api.version.fallback.ms", "broker.version.fallback"),
        "a client that takes the broker for an old one writes records without headers, and more than once",
    ),
    # sizes
    **dict.fromkeys(
        ("message.max.bytes", "receive.message.max.bytes", "fetch.max.bytes", "batch.size",
        "max.partition.fetch.bytes",
         "fetch.message.max.bytes", "queued.max.messages.kbytes", "queue.buffering.max.messages",
         "queue.buffering.max.kbytes"),
        _LIMITS,
    ),
    # producers
    **dict.fromkeys(
        ("acks", "request.required.acks", "enable.idempotence", "enable.gapless.guarantee", "max.in.flight",
         "max.in.flight.requests.per.connection", "retries", "message.send.max.retries", "transactional.id",
         "transaction.timeout.ms", "queuing.strategy", "queue.buffering.backpressure.threshold"),
        _PRODUCER,
    ),
    "partitioner": "the events of one order must stay in one partition",
    **dict.fromkeys(
        ("delivery.timeout.ms", "message.timeout.ms", "delivery.report.only.error", "linger.ms",
         "queue.buffering.max.ms", "topic.metadata.propagation.max.ms", "topic.metadata.refresh.interval.ms",
         "metadata.max.age.ms", "request.timeout.ms", "reconnect.backoff.max.ms", "enable.partition.eof",
         "fetch.queue.backoff.ms", "fetch.wait.max.ms", "produce.offset.report"),
        _CHOSEN,
    ),
    # consumers
    **dict.fromkeys(
        ("group.id", "group.instance.id", "group.protocol", "group.protocol.type", "group.remote.assignor",
         "partition.assignment.strategy", "session.timeout.ms", "heartbeat.interval.ms", "max.poll.interval.ms",
         "coordinator.query.interval.ms", "max.poll.records", "share.acknowledgement.mode"),
        _GROUP,
    ),
    **dict.fromkeys(
        ("auto.offset.reset", "enable.auto.commit", "auto.commit.enable", "auto.commit.interval.ms",
         "enable.auto.offset.store", "offset.store.method", "offset.store.path", "offset.store.sync.interval.ms"),
        _POSITIONS,
    ),
    "isolation.level": "a record of a transaction that was aborted is not an order",
    # what only a program can give, or what it would never hear of
    **dict.fromkeys(
        ("error_cb", "throttle_cb", "stats_cb", "log_cb", "socket_cb", "connect_cb", "closesocket_cb", "open_cb",
         "resolve_cb", "background_event_cb", "oauthbearer_token_refresh_cb", "ssl.certificate.verify_cb",
         "consume_cb",
         "rebalance_cb", "offset_commit_cb", "dr_cb", "dr_msg_cb", "partitioner_cb", "msg_order_cmp", "opaque",
         "default_topic_conf", "interceptors", "enabled_events", "log.queue", "ssl_key", "ssl_certificate", "ssl_ca",
         "ssl_engine_callback_data", "internal.termination.signal", "builtin.features",
         "consume.callback.max.messages"),
        _CALLS,
    ),
}  # fmt: skip
