"""An ingress of which one thread ends while it runs: `python -m support.dying_ingress PART`, on SIGUSR1."""

import signal
import sys
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from deploy.cli import main
from ingress import publisher, reader, topic_watch

DYING: list[bool] = []
PARTS: dict[str, tuple[Any, str]] = {
    "replies": (reader.PartitionReader, "read"),
    "partners": (reader.PartitionReader, "read"),
    "topics": (topic_watch.TopicWatch, "_check"),
    "producer": (publisher, "Producer"),
}


def failing(part: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """Raises as the client library raises what is fatal, once it is told to."""

    def wrapped(self: Any, *arguments: Any, **named: Any) -> Any:
        if DYING and getattr(self, "topic", part).endswith({"replies": "results"}.get(part, part)):
            raise KafkaException(KafkaError(KafkaError._FENCED, "told to", fatal=True))
        return call(self, *arguments, **named)

    return wrapped


class FailingProducer(Producer):
    def poll(self, *arguments: Any, **named: Any) -> Any:
        if DYING:
            DYING.clear()
            raise KafkaException(KafkaError(KafkaError.UNSUPPORTED_VERSION, "told to", fatal=True))
        return super().poll(*arguments, **named)


if __name__ == "__main__":
    part = sys.argv.pop()
    owner, name = PARTS[part]
    setattr(owner, name, FailingProducer if part == "producer" else failing(part, getattr(owner, name)))
    signal.signal(signal.SIGUSR1, lambda *_: DYING.append(True))
    sys.argv.append("ingress")
    main()
