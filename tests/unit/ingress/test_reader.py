"""The thread of a reader, with a stand-in for the partition."""

import asyncio

from confluent_kafka import KafkaError, KafkaException

from ingress.reader import KeyValue, ReaderThread
from support.waiting import HANG_S


class Confused:
    """Its first client knows the topic and none of its partitions, and asks no broker again."""

    topic = "t"
    at_end = False
    clients = 1

    def start(self) -> None:
        if self.clients == 1:
            raise KafkaException(KafkaError(KafkaError._UNKNOWN_PARTITION))

    def read(self) -> list[KeyValue]:
        return [(b"key", b"value")]

    def replace_client(self) -> None:
        self.clients += 1

    def close(self) -> None:
        pass


def test_a_client_that_saw_a_topic_without_partitions_is_replaced() -> None:
    """All brokers had started again at once, and both ingresses stayed unready until they were started again."""

    async def follow() -> None:
        read = asyncio.Event()
        loop, reader = asyncio.get_running_loop(), Confused()
        thread = ReaderThread(reader, loop, lambda _: read.set(), lambda why: None)  # type: ignore[arg-type]
        try:
            await asyncio.wait_for(read.wait(), HANG_S)
        finally:
            await asyncio.to_thread(thread.stop)

    asyncio.run(follow())
