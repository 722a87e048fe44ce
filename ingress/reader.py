"""Follows a partition without a consumer group: one thread for replies, one for partners."""

import logging
import time
from asyncio import AbstractEventLoop
from collections.abc import Callable
from threading import Event as Flag
from threading import Thread

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from contracts.settings import KafkaSettings

RECORDS_MAX = 500
_POLL_S = 0.2
_WATERMARK_TIMEOUT_S = 2.0
SILENCE_S = 3.0
BEHIND_LOOKS_MAX = 2
"""After so many looks at which the broker has more than was read, and nothing came, the client is replaced."""
_OF_A_BATCH = KafkaError._BAD_COMPRESSION, KafkaError._BAD_MSG
_BACKOFF_MIN_S, _BACKOFF_MAX_S = 0.1, 2.0
_log = logging.getLogger(__name__)

KeyValue = tuple[bytes | None, bytes | None]


class PartitionReader:
    """Reads one partition from its beginning, or from its end at the start. Without a group there is no rebalance."""

    def __init__(self, settings: KafkaSettings, topic: str, partition: int, *, from_beginning: bool) -> None:
        self.topic = topic
        self._partition = partition
        self._from_beginning = from_beginning
        self.at_end = False
        """Whether every record that was there at the start is read."""
        self._position: int | None = None
        self._unreadable: int | None = None
        self._settings = settings
        self._consumer = self._new_client()

    def _new_client(self) -> Consumer:
        return Consumer(
            self._settings.client_config(
                client_id="order-upsert-ingress",
                group_id="order-upsert-no-group",  # the client needs a name; nothing is committed under it
                enable_auto_commit=False,
                enable_partition_eof=True,
                # Replies are deleted after an hour: a reader that is further behind goes on at the end.
                auto_offset_reset="earliest" if self._from_beginning else "latest",
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
        where = TopicPartition(self.topic, self._partition)
        low, high = self._consumer.get_watermark_offsets(where, timeout=_WATERMARK_TIMEOUT_S, cached=False)
        position = self._position
        if self._from_beginning:
            position = low
        elif position is None or not low <= position <= high:
            position = high
        where.offset = self._position = position
        self.at_end = where.offset == high
        self._consumer.assign([where])

    def read(self, timeout_s: float = _POLL_S) -> list[KeyValue]:
        """Records that have arrived. Waits up to `timeout_s` only if there are none."""
        first = self._consumer.poll(timeout_s)
        if first is None:
            return []
        records: list[KeyValue] = []
        for message in (first, *self._consumer.consume(RECORDS_MAX - 1, 0)):
            if self._is_unreadable(message):
                break  # what comes behind it is read again
            self._note_position(message)
            if self._is_record(message):
                records.append((message.key(), message.value()))
        return records

    def has_read_all(self) -> bool:
        """Whether it stands at the end of the partition now. False if no broker answers.

        A client that knew the log before Kafka was put back does not believe the older leader epochs of the broker, and
        gets nothing forever.
        """
        where = TopicPartition(self.topic, self._partition)
        try:
            return self._consumer.get_watermark_offsets(where, _WATERMARK_TIMEOUT_S, cached=False)[1] == self._position
        except KafkaException:
            return False

    def replace_client(self) -> None:
        """Forgets what the client library knows of the topic."""
        self.at_end = False
        self._consumer.close()
        self._consumer = self._new_client()

    def close(self) -> None:
        self._consumer.close()

    def _is_unreadable(self, message: Message) -> bool:
        """Passes over a record that the client library cannot read: it would ask for it again for ever.

        A few kilobytes can decompress to more than it takes. Only a second error at one offset counts: the first one
        may be about another place.
        """
        error, offset, position = message.error(), message.offset(), self._position
        if error is None or error.code() not in _OF_A_BATCH or offset is None or position is None or offset > position:
            return False
        if self._unreadable == position:
            _log.error("%s: the record at offset %d cannot be read: %s; it is left out", self.topic, position, error)
            position += 1
        else:
            self._unreadable = position
        self._position = position
        self._consumer.assign([TopicPartition(self.topic, self._partition, position)])
        return True

    def _note_position(self, message: Message) -> None:
        error, offset = message.error(), message.offset()
        if offset is not None and error is None:
            self._position = offset + 1
        elif offset is not None and error is not None and error.code() == KafkaError._PARTITION_EOF:
            self._position = offset

    def _is_record(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.code() == KafkaError._PARTITION_EOF:
            self.at_end = True
        elif error.code() == KafkaError._FATAL:
            raise KafkaException(error)
        elif error.code() != KafkaError.GROUP_AUTHORIZATION_FAILED:  # nothing is asked of the group's coordinator
            _log.warning("Kafka, %s: %s", self.topic, error.str())
        return False


class ReaderThread:
    """Hands records to the event loop. `ready`: the loop has every record that was there at the start.

    Calls `on_end(why)` on the loop if the thread ends without being told to: nothing would be read any more. Calls
    `on_restart` on the loop before it reads the partition anew.
    """

    def __init__(
        self,
        reader: PartitionReader,
        loop: AbstractEventLoop,
        on_records: Callable[[list[KeyValue]], None],
        on_end: Callable[[str], None],
        on_restart: Callable[[], None] = lambda: None,
    ) -> None:
        self.ready = False
        self._reader = reader
        self._loop = loop
        self._on_records = on_records
        self._on_end = on_end
        self._on_restart = on_restart
        self._stop = Flag()
        self._anew = Flag()
        self._thread = Thread(target=self._run, name="reader", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Waits until the thread has ended. After that it calls nothing on the loop."""
        self._stop.set()
        self._thread.join()

    def restart(self) -> None:
        """Reads the partition anew, because the topic is another one. Not ready until that is done."""
        self.ready = False
        self._anew.set()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                if self._start():
                    self._follow()
                if self._anew.is_set():
                    self._anew.clear()
                    self._reader.replace_client()
                    self._loop.call_soon_threadsafe(self._begin_anew)
        except Exception as error:  # noqa: BLE001 - whatever ends a thread ends the process
            _log.error("the reader of %s ended", self._reader.topic, exc_info=not isinstance(error, KafkaException))
            self.ready = False
            self._loop.call_soon_threadsafe(
                self._on_end, f"The reader of {self._reader.topic} ended: {error}. Start this process again."
            )
        finally:
            self._reader.close()

    def _start(self) -> bool:
        """False if it was told to stop, or to begin anew, before the broker gave it a place to start at."""
        wait_s = _BACKOFF_MIN_S
        while not (self._stop.is_set() or self._anew.is_set()):
            try:
                self._reader.start()
            except KafkaException as error:
                _log.warning("%s: waiting for Kafka: %s", self._reader.topic, error.args[0].str())
                self._stop.wait(wait_s)
                if error.args[0].code() == KafkaError._UNKNOWN_PARTITION:
                    # A broker that starts may know the topic, and not its partitions yet. The client asks again only
                    # after metadata.max.age.ms (15 minutes).
                    self._reader.replace_client()
                wait_s = min(2 * wait_s, _BACKOFF_MAX_S)
            else:
                return True
        return False

    def _follow(self) -> None:
        is_told, behind, heard_s = False, 0, time.monotonic()
        while not (self._stop.is_set() or self._anew.is_set()):
            records = self._reader.read()
            if records:
                behind, heard_s = 0, time.monotonic()
            elif time.monotonic() - heard_s > SILENCE_S:
                heard_s = time.monotonic()
                behind = 0 if self._reader.has_read_all() else behind + 1
                if behind >= BEHIND_LOOKS_MAX:
                    _log.warning("%s: nothing comes, and no broker says all is read: a new client", self._reader.topic)
                    self._anew.set()
            if records:
                self._loop.call_soon_threadsafe(self._on_records, records)
            if self._reader.at_end and not is_told:
                is_told = True
                self._loop.call_soon_threadsafe(self._set_ready)

    def _begin_anew(self) -> None:
        self.ready = False
        self._on_restart()

    def _set_ready(self) -> None:
        self.ready = not self._anew.is_set()
