"""Follows a partition without a consumer group: one thread for replies, one for partners."""

import logging
from asyncio import AbstractEventLoop
from collections.abc import Callable
from threading import Event as Flag
from threading import Thread

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from contracts.settings import KafkaSettings

RECORDS_MAX = 500
_POLL_S = 0.2
_WATERMARK_TIMEOUT_S = 2.0
_log = logging.getLogger(__name__)

KeyValue = tuple[bytes | None, bytes | None]


class PartitionReader:
    """Reads one partition from its beginning, or from its end at the start. Without a group there is no rebalance."""

    def __init__(self, settings: KafkaSettings, topic: str, partition: int, *, from_beginning: bool) -> None:
        self._topic = topic
        self._partition = partition
        self._from_beginning = from_beginning
        self.at_end = False
        """Whether every record that was there at the start is read."""
        self._consumer = Consumer(
            settings.client_config(
                client_id="order-upsert-ingress",
                group_id="order-upsert-no-group",  # the client needs a name; nothing is committed under it
                enable_auto_commit=False,
                enable_partition_eof=True,
                # Replies are deleted after an hour: a reader that is further behind goes on at the end.
                auto_offset_reset="earliest" if from_beginning else "latest",
                isolation_level="read_committed",
                fetch_wait_max_ms=500,
                fetch_queue_backoff_ms=5,
                queued_max_messages_kbytes=4 * 1024,
                reconnect_backoff_max_ms=1000,
            ),
            logger=_log,
        )

    def start(self) -> None:
        """Assigns the partition at its first offset, or at the offset of its end now. Raises KafkaException."""
        where = TopicPartition(self._topic, self._partition)
        low, high = self._consumer.get_watermark_offsets(where, timeout=_WATERMARK_TIMEOUT_S, cached=False)
        where.offset = low if self._from_beginning else high
        self.at_end = where.offset == high
        self._consumer.assign([where])

    def read(self, timeout_s: float = _POLL_S) -> list[KeyValue]:
        """Records that have arrived. Waits up to `timeout_s` only if there are none."""
        first = self._consumer.poll(timeout_s)
        if first is None:
            return []
        messages = [first, *self._consumer.consume(RECORDS_MAX - 1, 0)]
        return [(message.key(), message.value()) for message in messages if self._is_record(message)]

    def close(self) -> None:
        self._consumer.close()

    def _is_record(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.code() == KafkaError._PARTITION_EOF:
            self.at_end = True
        else:
            _log.warning("Kafka, %s: %s", self._topic, error.str())
        return False


class ReaderThread:
    """Hands records to the event loop. `ready`: the loop has every record that was there at the start."""

    def __init__(
        self, reader: PartitionReader, loop: AbstractEventLoop, on_records: Callable[[list[KeyValue]], None]
    ) -> None:
        self.ready = False
        self._reader = reader
        self._loop = loop
        self._on_records = on_records
        self._stop = Flag()
        self._thread = Thread(target=self._run, name="reader", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Waits until the thread has ended. After that it calls nothing on the loop."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                try:
                    self._reader.start()
                    break
                except KafkaException as error:
                    _log.warning("waiting for Kafka: %s", error.args[0].str())
            while not self._stop.is_set():
                records = self._reader.read()
                if records:
                    self._loop.call_soon_threadsafe(self._on_records, records)
                if self._reader.at_end and not self.ready:
                    self._loop.call_soon_threadsafe(self._set_ready)
        finally:
            self._reader.close()

    def _set_ready(self) -> None:
        self.ready = True
