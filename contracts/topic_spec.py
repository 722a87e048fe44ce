"""What a topic must be, and what to tell a person if it is not. Pure: others ask the broker.

`orders setup` makes topics by these rules, and every process checks them at its start.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

REPLICAS_OF_A_CLUSTER = 3
"""From this replication factor on, one broker may be lost, so a record must be in two places before it counts."""
MIN_INSYNC = "min.insync.replicas"
_MIN_INSYNC_OF_A_CLUSTER = 2


@dataclass(frozen=True)
class Setting:
    """One setting of a topic under the broker's own name. `value` is what set-up writes; `why` ends "…, because".

    With `least`, every number from `least` on is right, and -1, which is "no limit" to a broker.
    """

    name: str
    value: str
    why: str
    least: int | None = None

    def is_met_by(self, found: str | None) -> bool:
        """None: an older broker, which does not know the setting."""
        if found is None or found == self.value:
            return True
        if self.least is None or not found.removeprefix("-").isdecimal():
            return False
        return int(found) == -1 or int(found) >= self.least

    @property
    def should(self) -> str:
        return self.value if self.least is None else f"{self.least} or more"


@dataclass(frozen=True)
class TopicSpec:
    """One topic as `orders setup` makes it. `why_partitions` says what another number of partitions would break."""

    name: str
    partitions: int
    settings: tuple[Setting, ...] = ()
    why_partitions: str = ""
    advice: str = ""

    @property
    def config(self) -> dict[str, str]:
        """What set-up writes, but for what depends on the number of replicas."""
        return {setting.name: setting.value for setting in self.settings}


@dataclass(frozen=True)
class TopicFound:
    """What a broker says of a topic. `replicas`: of the partition that has the fewest.

    `rights` are the operations that this client's user may do, by the names of Kafka's AclOperation; None if the broker
    does not tell.
    """

    topic_id: str
    partitions: int
    replicas: int
    config: Mapping[str, str | None] = field(default_factory=dict)
    rights: frozenset[str] | None = None


def violations(spec: TopicSpec, found: TopicFound) -> Iterator[str]:
    """A sentence or two for each thing that is not as it must be: what, why, and what to do."""
    if found.partitions != spec.partitions:
        yield (
            f"The topic {spec.name} has {found.partitions} partitions instead of {spec.partitions}: "
            f"{spec.why_partitions}. {spec.advice}"
        )
    for setting in spec.settings:
        value = found.config.get(setting.name)
        if not setting.is_met_by(value):
            yield (
                f"The topic {spec.name} has {setting.name}={value} and needs {setting.should}, because {setting.why}. "
                "Run: orders setup"
            )
    yield from _about_replicas(spec, found)


def corrections(spec: TopicSpec, found: TopicFound) -> dict[str, str]:
    """The settings that set-up has to write, with their values."""
    wrong = {s.name: s.value for s in spec.settings if not s.is_met_by(found.config.get(s.name))}
    if list(_about_replicas(spec, found)):
        wrong[MIN_INSYNC] = str(min_insync(found.replicas))
    return wrong


def min_insync(replicas: int) -> int:
    """How many replicas must have a record before it is acknowledged."""
    return _MIN_INSYNC_OF_A_CLUSTER if replicas >= REPLICAS_OF_A_CLUSTER else 1


def _about_replicas(spec: TopicSpec, found: TopicFound) -> Iterator[str]:
    value = found.config.get(MIN_INSYNC)
    if value is None or not value.isdecimal():
        return
    if int(value) > found.replicas:
        yield (
            f"The topic {spec.name} has {MIN_INSYNC}={value} and only {found.replicas} replicas, so Kafka takes no "
            "record for it. Add replicas with kafka-reassign-partitions, or run: orders setup"
        )
    elif int(value) < min_insync(found.replicas):
        yield (
            f"The topic {spec.name} has {MIN_INSYNC}={value} and needs {min_insync(found.replicas)} or more with "
            f"{found.replicas} replicas, because a record that is in one place alone is lost with that broker. "
            "Run: orders setup"
        )
