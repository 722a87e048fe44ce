"""Watches over one thing: the log that is read is the log that the tables were filled from.

It looks at every assignment, and every few seconds without waiting for the broker. If the log is another one, every
ingress is told by a record in orders.halts, and answers 503 until a consumer finds the log right again.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime

from consumer.core.log_mark import Watermark
from consumer.core.open_transactions import OpenTransactions
from consumer.core.record import Outgoing
from consumer.errors import ClientStuckError, LogChangedError, RetryLaterError
from consumer.kafka.log_check import LogCheck
from consumer.kafka.log_watch import LogWatch
from consumer.kafka.producer import AcknowledgedProducer
from consumer.postgres.fence import read_source
from consumer.postgres.session import SessionHolder
from contracts.halt import Halt, encode_halt, halt_key
from contracts.settings import KafkaSettings
from contracts.topics import UPSERT_PARTITIONS

LOOK_EVERY_S = 5.0
STUCK_LOOKS_MAX = 3
"""After so many looks at which a partition has records and its position has not moved, its client is replaced."""
HALT_ATTEMPTS_MAX = 5
"""Each takes some seconds at the most. The first fails if Kafka was put back: the producer is ahead of the broker."""
_log = logging.getLogger(__name__)


class LogGuard:
    """One for each consumer. Raises LogChangedError if the log is another one."""

    def __init__(
        self,
        settings: KafkaSettings,
        holder: SessionHolder,
        producer: AcknowledgedProducer,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._topics = settings.topics
        self._holder = holder
        self._producer = producer
        self._clock_s = clock_s
        self._check = LogCheck(settings)
        self._watch = LogWatch(settings)
        self._open_transactions = OpenTransactions()
        self._source: tuple[str, str] | None = None
        self._to_lift: set[int] = set()
        self._looked_s = clock_s()
        self._seen: dict[int, int] = {}
        self._stuck_looks: dict[int, int] = {}

    def read_applied(self, partitions: Collection[int]) -> Mapping[int, Watermark]:
        """The watermarks of partitions that are about to be read, after their log was checked.

        Raises LogChangedError, and RetryLaterError while Kafka or Postgres does not answer.
        """
        with self._holder.session() as session:
            source = read_source(session.connection)
            found = session.fence.read_watermarks()
        watermarks = {partition: found[partition] for partition in partitions}
        if source is not None:
            self._check.require(source, watermarks)
        self._source = source
        self._to_lift.update(partitions)
        return watermarks

    def look(self, positions: Mapping[int, int]) -> None:
        """Called between batches. `positions`: by partition of ours, how far it is read, past markers of transactions.

        Raises LogChangedError, and ClientStuckError if records are there and the client does not give them.
        """
        self._lift_halts(positions.keys())
        if self._watch.is_answered() and self._source is not None:
            try:
                self._watch.require_same_log(self._source)
            except LogChangedError as suspected:
                self._look_again(positions.keys(), suspected)
            self._tell_open_transactions()
            self._require_progress(positions)
        if self._clock_s() - self._looked_s > LOOK_EVERY_S:
            self._looked_s = self._clock_s()
            self._watch.ask(positions)

    def _tell_open_transactions(self) -> None:
        log_ends = self._watch.log_ends
        readable = {partition: self._watch.ends[partition] for partition in log_ends}
        for text in self._open_transactions.look(readable, log_ends, self._clock_s()):
            _log.warning("%s", text)

    def _look_again(self, partitions: Collection[int], suspected: LogChangedError) -> None:
        """By other means, which decides. In an outage the next look decides: an outage must not end the consumer."""
        try:
            self.read_applied(partitions)
        except RetryLaterError as outage:
            _log.warning("the log cannot be checked now (%s); what was suspected: %s", outage, suspected)

    def halt(self, error: LogChangedError) -> None:
        """Tells every ingress that nothing can be applied. Raises nothing: without a broker we end all the same."""
        partitions = range(UPSERT_PARTITIONS) if error.partition is None else [error.partition]
        halts = [Halt(partition, str(error), datetime.now(UTC)) for partition in partitions]
        for _ in range(HALT_ATTEMPTS_MAX):
            try:
                self._producer.send([self._record(halt.partition, encode_halt(halt)) for halt in halts])
                return
            except RetryLaterError as outage:
                _log.warning("the ingresses are not told yet: %s", outage)

    def _lift_halts(self, ours: Collection[int]) -> None:
        """What was halted is lifted by whoever has the partition and found its log right."""
        if lifted := self._to_lift and self._to_lift.intersection(ours):
            try:
                self._producer.send(self._record(partition, None) for partition in sorted(lifted))
                self._to_lift.clear()
            except RetryLaterError as error:
                _log.warning("%s", error)

    def _require_progress(self, positions: Mapping[int, int]) -> None:
        ends = self._watch.ends
        stuck = {p for p, position in positions.items() if position < ends.get(p, 0) and self._seen.get(p) == position}
        self._stuck_looks = {partition: self._stuck_looks.get(partition, 0) + 1 for partition in stuck}
        self._seen = dict(positions)
        for partition, looks in self._stuck_looks.items():
            if looks >= STUCK_LOOKS_MAX:
                raise ClientStuckError(
                    f"partition {partition} has records up to offset {ends[partition] - 1}, and for "
                    f"{looks * LOOK_EVERY_S:.0f} s the client has given none from offset {positions[partition]} on"
                )

    def _record(self, partition: int, value: bytes | None) -> Outgoing:
        return Outgoing(self._topics.halts, halt_key(partition), value, (), 0)
