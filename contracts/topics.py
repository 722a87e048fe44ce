"""The four topics: names, partitions and settings (design 4)."""

from dataclasses import dataclass, field

UPSERT_PARTITIONS = 12
"""Never change this number: the events of an order must stay in one partition for ever."""

RESULT_PARTITIONS = 16

_HOUR_MS = 3_600_000


@dataclass(frozen=True)
class TopicSpec:
    """One topic, as `orders setup` makes it. `config` has the broker's own property names."""

    name: str
    partitions: int
    config: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Topics:
    """The topics of one installation. With prefixes, several share a broker; `orders` gives the published names."""

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
    def consumer_group(self) -> str:
        return f"{self.prefix}.upserts.consumer"

    def specs(self) -> list[TopicSpec]:
        for_ever = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
        return [
            # The broker's clock, not a producer's, decides the day of the ledger for an event.
            TopicSpec(self.upserts, UPSERT_PARTITIONS, {**for_ever, "message.timestamp.type": "LogAppendTime"}),
            TopicSpec(
                self.results,
                RESULT_PARTITIONS,
                {"cleanup.policy": "delete", "retention.ms": str(_HOUR_MS), "segment.ms": str(_HOUR_MS // 4)},
            ),
            # Twice the default of 1 MiB, because a dead letter has its reason and may be the largest record of upserts.
            TopicSpec(self.dlq, UPSERT_PARTITIONS, {**for_ever, "max.message.bytes": str(2 * 1024 * 1024)}),
            TopicSpec(self.partners, 1, {"cleanup.policy": "compact"}),
        ]
