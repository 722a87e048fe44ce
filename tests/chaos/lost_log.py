"""What Kafka had before it lost something, and what of it is still there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Message

from chaos.facts import KEPT, LATER, LOST, UNAPPLIED


@dataclass
class LostLog:
    """`fence`: up to where it was applied before the reseed, by partition."""

    upserts: list[Message] = field(default_factory=list)
    letters: list[Message] = field(default_factory=list)
    results: list[Message] = field(default_factory=list)
    fence: Mapping[int, int] = field(default_factory=dict)

    def with_eras(self, now: list[Message]) -> list[tuple[Message, int]]:
        """`now`: the topic at the end. What was kept, then what was lost, then what came later."""
        before = {identity_of(message) for message in self.upserts}
        after = {identity_of(message) for message in now}
        kept = [(message, KEPT) for message in now if identity_of(message) in before]
        lost = [(message, self._era(message)) for message in self.upserts if identity_of(message) not in after]
        later = [(message, LATER) for message in now if identity_of(message) not in before]
        return [*kept, *lost, *later]

    def _era(self, message: Message) -> int:
        return LOST if (message.offset() or 0) < self.fence.get(message.partition() or 0, 0) else UNAPPLIED


def identity_of(message: Message) -> tuple[Any, ...]:
    """Two logs may have different records at one offset."""
    headers: dict[str, Any] = dict(message.headers() or ())
    return message.partition(), message.offset(), message.timestamp()[1], message.key(), headers.get("ce_id")
