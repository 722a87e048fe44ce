"""The five topics: names, partitions and settings (design 4)."""

from dataclasses import dataclass

from contracts.topic_spec import Setting, TopicSpec

UPSERT_PARTITIONS = 12
"""Never change this number: the events of an order must stay in one partition forever."""

RESULT_PARTITIONS = 16

BATCH_BYTES_MAX = 1_048_588
"""The least that `max.message.bytes` of a topic may be: a full batch of a producer. It is also Kafka's own default."""
LETTER_BYTES_MAX = 2 * 1024 * 1024
"""The least that `max.message.bytes` of the dead-letter topic may be: twice the largest record of orders.upserts."""

_HOUR_MS = 3_600_000

_KEPT_FOREVER = "its records are the truth from which the tables can be made again"
_FOREVER = (
    Setting("cleanup.policy", "delete", _KEPT_FOREVER),
    Setting("retention.ms", "-1", _KEPT_FOREVER),
    Setting("retention.bytes", "-1", _KEPT_FOREVER),
)
_TAKES_BATCHES = Setting(
    "max.message.bytes", str(BATCH_BYTES_MAX), "a producer's batch may be as large", least=BATCH_BYTES_MAX
)
_NO_UNCLEAN_ELECTION = Setting(
    "unclean.leader.election.enable", "false", "a broker that lags behind would drop records that were acknowledged"
)


@dataclass(frozen=True)
class Topics:
    """The topics of one installation. `prefix` lets several share a broker: `orders` gives the published names."""

    prefix: str = "orders"

    @property
    def upserts(self) -> str:
        return f"{self.prefix}.upserts"

    @property
    def results(self) -> str:
        return f"{self.prefix}.results"

    @property
    def dlq(self) -> str:
        return f"{self.prefix}.upserts.dlq"

    @property
    def partners(self) -> str:
        return f"{self.prefix}.partners"

    @property
    def halts(self) -> str:
        return f"{self.prefix}.halts"

    @property
    def consumer_group(self) -> str:
        return f"{self.prefix}.upserts.consumer"

    def specs(self) -> list[TopicSpec]:
        """What each topic must be: `orders setup` makes it so, and every process checks it."""
        return [
            TopicSpec(
                self.upserts,
                UPSERT_PARTITIONS,
                (
                    *_FOREVER,
                    Setting(
                        "message.timestamp.type",
                        "LogAppendTime",
                        "the broker's clock, not a producer's, decides on which day of the ledger an event is filed",
                    ),
                    _TAKES_BATCHES,
                    _NO_UNCLEAN_ELECTION,
                ),
                "the events of one order may stand in two partitions",
                "Do not go on; make a new topic and copy the events in order.",
            ),
            TopicSpec(
                self.results,
                RESULT_PARTITIONS,
                (
                    Setting("cleanup.policy", "delete", "the outcomes of one request have the same key"),
                    _TAKES_BATCHES,
                    Setting(
                        "retention.ms", str(_HOUR_MS), "an ingress must have time to read an outcome", least=_HOUR_MS
                    ),
                    Setting("segment.ms", str(_HOUR_MS // 4), "outcomes should go soon after an hour", least=1),
                ),
                "an ingress chooses one of these partitions for its outcomes",
                "Delete the topic, and run: orders setup",
            ),
            TopicSpec(
                self.dlq,
                UPSERT_PARTITIONS,
                (
                    *_FOREVER,
                    Setting(
                        "max.message.bytes",
                        str(LETTER_BYTES_MAX),
                        "a dead letter is the largest record that fits orders.upserts, and its reason",
                        least=LETTER_BYTES_MAX,
                    ),
                    Setting("message.timestamp.type", "CreateTime", "the time of a letter is that of its event"),
                    _NO_UNCLEAN_ELECTION,
                ),
                "the letters of one order may stand in two partitions",
                "Do not go on; make a new topic and copy the letters in order.",
            ),
            TopicSpec(
                self.partners,
                1,
                (
                    Setting("cleanup.policy", "compact", "it keeps the newest record of each partner forever"),
                    _NO_UNCLEAN_ELECTION,
                ),
                "the newest record of a partner must be the last one",
                "Delete the topic, run `orders setup`, and add the partners again.",
            ),
            TopicSpec(
                self.halts,
                1,
                (Setting("cleanup.policy", "compact", "it keeps the newest record of each partition"),),
                "the newest record of a partition must be the last one",
                "Delete the topic, and run: orders setup",
            ),
        ]

    def spec(self, name: str) -> TopicSpec:
        """Of one of these topics."""
        return next(spec for spec in self.specs() if spec.name == name)
