"""A look at the topic every few seconds, without waiting for the broker: is it still the same log?"""

import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from itertools import chain
from typing import Any

from confluent_kafka import IsolationLevel, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from consumer.kafka.log_check import require_inside, require_source
from contracts.log_identity import are_told
from contracts.settings import KafkaSettings

REQUEST_TIMEOUT_S = 5.0
_log = logging.getLogger(__name__)


class LogWatch:
    """Asks for the topic's id and for the ends of partitions; the answers are looked at when they are there."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._topic = settings.topics.upserts
        self._admin: AdminClient | None = None
        self._asked: dict[int, int] = {}
        self._described: Future[Any] | None = None
        self._firsts: dict[int, Future[Any]] = {}
        self._ends: dict[int, Future[Any]] = {}
        self._log_ends: dict[int, Future[Any]] = {}
        self.ends: dict[int, int] = {}
        """Where each partition ended when the last answer came: no record at or behind it was readable then."""
        self.log_ends: dict[int, int] = {}
        """The same with what a transaction holds back; empty if the last answer was none."""

    def ask(self, next_offsets: Mapping[int, int]) -> None:
        """Sends the questions about these partitions and their fences. Waits for nothing; not while others are open."""
        if self._described is not None or not next_offsets:
            return
        if self._admin is None:
            self._admin = AdminClient(self._settings.client_config(client_id="order-upsert-consumer"), logger=_log)
        self._asked = dict(next_offsets)
        options: dict[str, Any] = {"request_timeout": REQUEST_TIMEOUT_S}
        self._described = self._admin.describe_topics(TopicCollection([self._topic]), **options)[self._topic]
        self._firsts = self._list(OffsetSpec.earliest(), options)  # type: ignore[no-untyped-call]
        readable = {**options, "isolation_level": IsolationLevel.READ_COMMITTED}
        self._ends = self._list(OffsetSpec.latest(), readable)  # type: ignore[no-untyped-call]
        self._log_ends = self._list(OffsetSpec.latest(), options)  # type: ignore[no-untyped-call]

    def is_answered(self) -> bool:
        described = self._described
        return described is not None and described.done() and all(future.done() for future in self._asked_offsets())

    def require_same_log(self, source: tuple[str, str]) -> None:
        """Looks at the answers. Raises LogChangedError: what was seen should then be checked by LogCheck."""
        described, firsts, ends, log_ends = self._described, self._firsts, self._ends, self._log_ends
        self._described, self._firsts, self._ends, self._log_ends = None, {}, {}, {}
        self.log_ends = {}
        if described is None:
            return
        try:
            now = self._topic, str(described.result().topic_id)
            first_offsets = {partition: future.result().offset for partition, future in firsts.items()}
            end_offsets = {partition: future.result().offset for partition, future in ends.items()}
            log_end_offsets = {partition: future.result().offset for partition, future in log_ends.items()}
        except KafkaException as error:
            _log.warning("the log cannot be looked at: %s", error.args[0].str())
            self._admin = None  # a client that knows newer leader epochs than the broker never gets an answer
            return
        if not are_told([*first_offsets.values(), *end_offsets.values(), *log_end_offsets.values()]):
            self._admin = None
            return
        self.ends, self.log_ends = end_offsets, log_end_offsets
        require_source(source, now)
        for partition, next_offset in self._asked.items():
            require_inside(self._topic, partition, next_offset, first_offsets[partition], self.ends[partition])

    def _asked_offsets(self) -> Iterator[Future[Any]]:
        return chain(self._firsts.values(), self._ends.values(), self._log_ends.values())

    def _list(self, spec: OffsetSpec, options: dict[str, Any]) -> dict[int, Future[Any]]:
        assert self._admin is not None
        asked = {TopicPartition(self._topic, partition): spec for partition in self._asked}
        return {item.partition: future for item, future in self._admin.list_offsets(asked, **options).items()}
