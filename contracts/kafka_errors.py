"""What an error of Kafka means for a record that is sent, by the error's name. Pure: no client library.

The names are those that `KafkaError.name()` gives; one with an underscore in front is the client library's own. A test
holds that every code of the library is in exactly one of the tables.
"""

from enum import StrEnum


class Verdict(StrEnum):
    """What to do with a record that was not taken."""

    OUTAGE = "outage"
    """Try again: it ends, or a person ends it without this program's help."""
    RECORD = "record"
    """This record will never be taken, whatever happens. It was not written. Others are not concerned."""
    STOP = "stop"
    """No record will be taken until a person mends something that only a new start notices."""


OUTAGES = frozenset(
    {
        # The client library could not reach a broker, or had no answer in time.
        "_TRANSPORT", "_RESOLVE", "_MSG_TIMED_OUT", "_TIMED_OUT", "_TIMED_OUT_QUEUE", "_ALL_BROKERS_DOWN",
        "_QUEUE_FULL",
        "_WAIT_CACHE", "_WAIT_COORD", "_RETRY", "_INTR", "_IN_PROGRESS", "_PREV_IN_PROGRESS", "_NODE_UPDATE",
        "_DESTROY",
        "_DESTROY_BROKER", "_UNKNOWN_BROKER", "_ISR_INSUFF", "_CRIT_SYS_RESOURCE", "_BAD_MSG", "_PURGE_QUEUE",
        "_PURGE_INFLIGHT", "_OUTDATED", "_FAIL", "_STATE", "_PARTIAL", "_UNDERFLOW", "_CONFLICT",
        # A password may be changed on either side first; `orders` commands and starts tell of it at once.
        "_AUTHENTICATION", "_SSL", "SASL_AUTHENTICATION_FAILED", "UNSUPPORTED_SASL_MECHANISM", "ILLEGAL_SASL_STATE",
        "DELEGATION_TOKEN_EXPIRED",
        # A new producer id, or a new producer, mends it.
        "_FATAL", "_FENCED", "_GAPLESS_GUARANTEE", "_INCONSISTENT", "OUT_OF_ORDER_SEQUENCE_NUMBER",
        "DUPLICATE_SEQUENCE_NUMBER", "INVALID_PRODUCER_EPOCH", "INVALID_PRODUCER_ID_MAPPING", "UNKNOWN_PRODUCER_ID",
        "PRODUCER_FENCED", "INVALID_TXN_STATE", "CONCURRENT_TRANSACTIONS", "TRANSACTION_ABORTABLE",
        # Brokers come, go and elect leaders.
        "UNKNOWN", "LEADER_NOT_AVAILABLE", "NOT_LEADER_FOR_PARTITION", "REQUEST_TIMED_OUT", "BROKER_NOT_AVAILABLE",
        "REPLICA_NOT_AVAILABLE", "NETWORK_EXCEPTION", "NOT_ENOUGH_REPLICAS", "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
        "COORDINATOR_LOAD_IN_PROGRESS", "COORDINATOR_NOT_AVAILABLE", "NOT_COORDINATOR", "NOT_CONTROLLER",
        "KAFKA_STORAGE_ERROR", "LOG_DIR_NOT_FOUND", "FENCED_LEADER_EPOCH", "UNKNOWN_LEADER_EPOCH", "STALE_CTRL_EPOCH",
        "STALE_BROKER_EPOCH", "OFFSET_NOT_AVAILABLE", "PREFERRED_LEADER_NOT_AVAILABLE",
        "ELIGIBLE_LEADERS_NOT_AVAILABLE",
        "THROTTLING_QUOTA_EXCEEDED", "REASSIGNMENT_IN_PROGRESS", "REBOOTSTRAP_REQUIRED", "LISTENER_NOT_FOUND",
        # A topic may be made by `orders setup` at any time.
        "UNKNOWN_TOPIC_OR_PART", "UNKNOWN_TOPIC_ID", "INCONSISTENT_TOPIC_ID", "_UNKNOWN_TOPIC",
    }
)  # fmt: skip

OF_THE_RECORD = frozenset(
    {
        "MSG_SIZE_TOO_LARGE", "INVALID_MSG_SIZE", "RECORD_LIST_TOO_LARGE",  # too large for the topic, or for the client
        "INVALID_MSG", "INVALID_RECORD", "_INVALID_DIFFERENT_RECORD",  # as without a key for a compacted topic
        "INVALID_TIMESTAMP",  # too far from the broker's clock
        "POLICY_VIOLATION",
        "_UNKNOWN_PARTITION", "INVALID_PARTITIONS",  # the topic has no such partition
        "TOPIC_EXCEPTION",  # a name that no topic can have, or an internal topic
        "_INVALID_ARG", "_KEY_SERIALIZATION", "_VALUE_SERIALIZATION", "_NOENT", "_INVALID_TYPE", "_BAD_COMPRESSION",
        "OFFSET_OUT_OF_RANGE",
    }
)  # fmt: skip

STOPPING = frozenset(
    {
        "TOPIC_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED", "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
        "DELEGATION_TOKEN_AUTHORIZATION_FAILED",
        "UNSUPPORTED_VERSION", "UNSUPPORTED_FOR_MESSAGE_FORMAT", "UNSUPPORTED_COMPRESSION_TYPE",
        "_UNSUPPORTED_FEATURE",
        "INVALID_REQUIRED_ACKS", "INVALID_REQUEST", "INVALID_CONFIG", "SECURITY_DISABLED", "_NOT_IMPLEMENTED",
        "_NOT_CONFIGURED", "_FS", "_UNKNOWN_PROTOCOL",
    }
)  # fmt: skip

NEVER_OF_A_RECORD_SENT = frozenset(
    {
        "NO_ERROR", "_NOOP", "_APPLICATION", "_READ_ONLY",
        # consumers, groups, shares, streams
        "_PARTITION_EOF", "_NO_OFFSET", "_AUTO_OFFSET_RESET", "_LOG_TRUNCATION", "_MAX_POLL_EXCEEDED",
        "_UNKNOWN_GROUP",
        "_ASSIGN_PARTITIONS", "_REVOKE_PARTITIONS", "_ASSIGNMENT_LOST", "_EXISTING_SUBSCRIPTION",
        "_KEY_DESERIALIZATION",
        "_VALUE_DESERIALIZATION", "GROUP_AUTHORIZATION_FAILED", "OFFSET_METADATA_TOO_LARGE",
        "INVALID_COMMIT_OFFSET_SIZE",
        "ILLEGAL_GENERATION", "INCONSISTENT_GROUP_PROTOCOL", "INVALID_GROUP_ID", "UNKNOWN_MEMBER_ID",
        "INVALID_SESSION_TIMEOUT", "REBALANCE_IN_PROGRESS", "NON_EMPTY_GROUP", "GROUP_ID_NOT_FOUND",
        "FETCH_SESSION_ID_NOT_FOUND", "INVALID_FETCH_SESSION_EPOCH", "MEMBER_ID_REQUIRED", "GROUP_MAX_SIZE_REACHED",
        "FENCED_INSTANCE_ID", "UNSTABLE_OFFSET_COMMIT", "GROUP_SUBSCRIBED_TO_TOPIC", "FENCED_MEMBER_EPOCH",
        "UNRELEASED_INSTANCE_ID", "UNSUPPORTED_ASSIGNOR", "STALE_MEMBER_EPOCH", "UNKNOWN_SUBSCRIPTION_ID",
        "INVALID_REGULAR_EXPRESSION", "INVALID_RECORD_STATE", "SHARE_SESSION_NOT_FOUND", "INVALID_SHARE_SESSION_EPOCH",
        "SHARE_SESSION_LIMIT_REACHED", "FENCED_STATE_EPOCH", "STREAMS_INVALID_TOPOLOGY",
        "STREAMS_INVALID_TOPOLOGY_EPOCH",
        "STREAMS_TOPOLOGY_FENCED",
        # administration, controllers, telemetry
        "TOPIC_ALREADY_EXISTS", "INVALID_REPLICATION_FACTOR", "INVALID_REPLICA_ASSIGNMENT", "TOPIC_DELETION_DISABLED",
        "OPERATION_NOT_ATTEMPTED", "DELEGATION_TOKEN_AUTH_DISABLED", "DELEGATION_TOKEN_NOT_FOUND",
        "DELEGATION_TOKEN_OWNER_MISMATCH", "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", "INVALID_PRINCIPAL_TYPE",
        "ELECTION_NOT_NEEDED", "NO_REASSIGNMENT_IN_PROGRESS", "RESOURCE_NOT_FOUND", "DUPLICATE_RESOURCE",
        "UNACCEPTABLE_CREDENTIAL", "INCONSISTENT_VOTER_SET", "INVALID_UPDATE_VERSION", "FEATURE_UPDATE_FAILED",
        "PRINCIPAL_DESERIALIZATION_FAILURE", "MISMATCHED_ENDPOINT_TYPE", "UNSUPPORTED_ENDPOINT_TYPE",
        "UNKNOWN_CONTROLLER_ID", "TELEMETRY_TOO_LARGE", "INVALID_REGISTRATION", "INVALID_VOTER_KEY", "DUPLICATE_VOTER",
        "VOTER_NOT_FOUND",
        # transactions
        "INVALID_TRANSACTION_TIMEOUT", "TRANSACTION_COORDINATOR_FENCED",
    }
)  # fmt: skip

AUTHENTICATION = frozenset(
    {"_AUTHENTICATION", "_SSL", "SASL_AUTHENTICATION_FAILED", "UNSUPPORTED_SASL_MECHANISM", "ILLEGAL_SASL_STATE"}
)
"""The broker does not let this client in at all."""

AUTHORIZATION = frozenset(
    {
        "TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED",
        "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
    }
)  # fmt: skip
"""The broker knows the user, who may not do this."""


ENDING = AUTHORIZATION | {"_FATAL"}
"""No client goes on after these. A client is told `_FATAL` as if it were an error of some partition."""


def verdict_of(name: str) -> Verdict:
    """About a record that was not taken. An error that nobody knows stops: to try forever would hold up everybody."""
    if name in OUTAGES:
        return Verdict.OUTAGE
    return Verdict.RECORD if name in OF_THE_RECORD else Verdict.STOP
