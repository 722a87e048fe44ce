"""The clock of a broker jumps ahead in mid-run, and is set right later."""

import threading
import time

from confluent_kafka import Producer

from chaos.begun import Begun
from chaos.clock import AHEAD_S
from chaos.cluster import Cluster
from chaos.foreign import DELIVERY_S, applied_record
from support.waiting import HANG_S

_EVENTS_MAX = 60
_PAUSE_S = 0.05


def put_ahead(cluster: Cluster, choice: int) -> Begun:
    """The clock is set right while the broker is down, because Kafka's timers do not go back."""
    node = cluster.nodes[choice % len(cluster.nodes)]
    node.clock.set_ahead(AHEAD_S)
    writing = threading.Thread(target=_write_ahead, args=[cluster, choice], daemon=True)
    writing.start()

    def end() -> None:
        writing.join(HANG_S)
        node.kill()
        node.clock.set_ahead(0)
        node.launch()

    return Begun(f"broker {node.node + 1}", end)


def _write_ahead(cluster: Cluster, number: int) -> None:
    """Events of a writer of its own, until one of them has a time of the future: the load alone may have none."""
    producer = Producer(
        {
            "bootstrap.servers": cluster.installation.bootstrap,
            "partitioner": "murmur2_random",
            "message.timeout.ms": int(DELIVERY_S * 1000),
            "log_level": 0,
        }
    )
    times_ms = [0]
    for attempt in range(_EVENTS_MAX):
        if max(times_ms) > (time.time() + AHEAD_S / 2) * 1000:
            return
        producer.produce(
            cluster.installation.settings.topics.upserts,
            **applied_record(f"ahead-{attempt}", number),
            on_delivery=lambda error, message: times_ms.append(0 if error else message.timestamp()[1]),
        )
        producer.flush(DELIVERY_S + 1)
        time.sleep(_PAUSE_S)
