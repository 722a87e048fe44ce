"""Kafka is no longer the log that the tables were filled from, and an operator reseeds.

Everything that Kafka then loses is read before, so that the checker knows what was answered and applied. That needs a
moment in which nobody writes: the links to Kafka are cut for it.
"""

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from confluent_kafka.admin import AdminClient

from chaos.begun import Begin, Begun
from chaos.cluster import Cluster
from chaos.lost_log import LostLog
from chaos.proxy import CUT, OPEN
from chaos.servers import copy_folder
from deploy.setup import set_up_topics
from support.commands import orders
from support.waiting import HANG_S, eventually

_LINKS = ("ingress-kafka", "consumer-kafka")
_PAUSE_S = 0.2
ADVICE = "orders reseed"
HALTED = "is halted, no orders are taken in"
PRODUCER_LOST = "The Kafka producer failed for good"
NOTICED_WITHIN_S = 60.0
"""Four times what the operators are promised: the machine may be busy."""


def put_back(cluster: Cluster, _: int) -> Begun:
    """The folders of all brokers are copied, and put back later."""
    copies, ends = _copy(cluster), _ends(cluster)

    def lose() -> None:
        _replace(cluster, [(node.folder, copy) for node, copy in zip(cluster.nodes, copies, strict=True)])

    return Begun("", lambda: _disaster(cluster, lose, ends))


def cut_tail(cluster: Cluster, _: int) -> Begun:
    """Only orders.upserts goes back: dead letters, results and the group's offsets tell of records that are gone."""
    copies, ends = _copy(cluster), _ends(cluster)

    def lose() -> None:
        pattern = f"log/{cluster.installation.settings.topics.upserts}-*"
        _replace(
            cluster,
            [
                (node.folder / copied.relative_to(copy), copied)
                for node, copy in zip(cluster.nodes, copies, strict=True)
                for copied in copy.glob(pattern)
                if not copied.name.startswith(f"{cluster.installation.settings.topics.dlq}-")
            ],
        )

    return Begun("", lambda: _disaster(cluster, lose, ends))


def make_topic_again(cluster: Cluster, _: int) -> Begun:
    def lose() -> None:
        settings = cluster.installation.settings
        topic, admin = settings.topics.upserts, AdminClient({"bootstrap.servers": settings.kafka_bootstrap})
        admin.delete_topics([topic])[topic].result()
        eventually(lambda: topic not in admin.list_topics(timeout=HANG_S).topics)
        set_up_topics(settings, None)

    return Begun("", lambda: _disaster(cluster, lose, {}))


BEGIN: dict[str, Begin] = {
    "kafka put back": put_back,
    "kafka tail cut": cut_tail,
    "topic made again": make_topic_again,
}


def _disaster(cluster: Cluster, lose: Callable[[], None], kept: Mapping[int, int]) -> None:
    """`kept`: by partition, up to which offset the log stays."""
    eventually(lambda: _is_something_lost(cluster, kept))
    for link in _LINKS:
        cluster.proxy.set_mode(link, CUT)
    lost = cluster.lost = _read(cluster)
    lose()
    lost.fence = cluster.fence()
    for link in _LINKS:
        cluster.proxy.set_mode(link, OPEN)
    if not _is_noticed(cluster):
        return  # no operator knows that there is something to do
    count = len(cluster.consumers)
    for consumer in list(cluster.consumers):
        consumer.stop()
        cluster.leave(consumer)
    done = orders("reseed", "--yes", env=cluster.installation.environment)
    if done.returncode:
        cluster.complaints.append(f"orders reseed: {done.stdout}{done.stderr}")
    for _ in range(count):
        cluster.add_consumer()


def _is_something_lost(cluster: Cluster, kept: Mapping[int, int]) -> bool:
    """Of what was applied."""
    return any(fence > kept.get(partition, 0) for partition, fence in cluster.fence().items())


def _is_noticed(cluster: Cluster) -> bool:
    """A consumer ends with the advice, and every ingress takes no more orders, for this reason and no other."""

    def has_ended() -> bool:
        return any(child.exit_code is not None and ADVICE in child.log.read_text() for child in cluster.consumers)

    def is_told() -> bool:
        _start_ingresses(cluster)
        return all(not slot.is_ready and HALTED in slot.child.log.read_text() for slot in cluster.ingresses)

    if not _comes_true(has_ended):
        cluster.complaints.append("no consumer noticed that Kafka lost what was applied")
        return False
    if not _comes_true(is_told):
        cluster.complaints.append("an ingress takes orders in although the consumers have stopped")
    return True


def _start_ingresses(cluster: Cluster) -> None:
    """As a supervisor does: no ingress can mend a producer whose sequence the broker has forgotten."""
    for slot in cluster.ingresses:
        if slot.child.exit_code is not None:
            if PRODUCER_LOST not in slot.child.log.read_text():
                cluster.complaints.append(str(slot.child.death()))
            cluster.ended.append(slot.child)
            slot.child = cluster.start_ingress(slot.port)


def _comes_true(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + NOTICED_WITHIN_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_S)
    return True


def _read(cluster: Cluster) -> LostLog:
    """When the ends stay where they are: a broker may still write what it was sent."""
    installation, topics = cluster.installation, cluster.installation.settings.topics
    before: dict[int, int] = {}
    while (now := _ends(cluster)) != before:
        before = now
        time.sleep(_PAUSE_S)
    records = installation.records
    return LostLog(records(topics.upserts), records(topics.dlq), records(topics.results))


def _ends(cluster: Cluster) -> dict[int, int]:
    return cluster.installation.end_offsets(cluster.installation.settings.topics.upserts)


def _copy(cluster: Cluster) -> list[Path]:
    for node in cluster.nodes:
        node.kill()
    copies = [cluster.folder / f"copy-{node.node}" for node in cluster.nodes]
    for node, copy in zip(cluster.nodes, copies, strict=True):
        copy_folder(node.folder, copy)
    _start(cluster)
    return copies


def _replace(cluster: Cluster, folders: list[tuple[Path, Path]]) -> None:
    for node in cluster.nodes:
        node.kill()
    for folder, copy in folders:
        shutil.rmtree(folder)
        copy_folder(copy, folder)
    _start(cluster)


def _start(cluster: Cluster) -> None:
    for node in cluster.nodes:
        node.launch()
    for node in cluster.nodes:
        node.wait()
