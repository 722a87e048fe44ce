"""Each kind of fault: how it begins, and what ends it. `choice` picks the victim."""

import shutil
import signal
import threading

import psycopg

from chaos import clock_ahead, failover, log_loss
from chaos.begun import Begin, Begun
from chaos.brokers import ClusterNode
from chaos.cluster import Cluster, IngressSlot
from chaos.foreign import write_poison
from chaos.plan import LINKS, MODES
from chaos.proxy import OPEN
from chaos.servers import copy_folder, end_postgres, start_postgres
from chaos.shop import add_columns, refuse_an_order
from contracts.topics import UPSERT_PARTITIONS
from deploy.local.child import Child
from support.small_disk import fill
from support.waiting import HANG_S

_SESSIONS_PAUSE_S = 0.005


def _ingress(number: signal.Signals) -> Begin:
    def begin(cluster: Cluster, choice: int) -> Begun:
        slot: IngressSlot = cluster.ingresses[choice % len(cluster.ingresses)]
        slot.wanted = number is signal.SIGSTOP
        slot.child.signal(number)

        def end() -> None:
            slot.child.signal(signal.SIGCONT)
            slot.wanted = True  # the nemesis starts it again as soon as it is gone

        return Begun(f"ingress {slot.number}", end)

    return begin


def _consumer(number: signal.Signals) -> Begin:
    def begin(cluster: Cluster, choice: int) -> Begun:
        victim: Child = cluster.consumers[choice % len(cluster.consumers)]
        frozen = number is signal.SIGSTOP
        if frozen:
            cluster.frozen.add(victim.pid)
        else:
            cluster.leave(victim)
        victim.signal(number)

        def end() -> None:
            if frozen:
                victim.signal(signal.SIGCONT)
                cluster.frozen.discard(victim.pid)
            else:
                cluster.add_consumer()

        return Begun(victim.name, end)

    return begin


def _broker(cluster: Cluster, choice: int) -> Begun:
    return _kill_node(cluster.nodes[choice % len(cluster.nodes)])


def _leader(cluster: Cluster, choice: int) -> Begun:
    topic, partition = cluster.installation.settings.topics.upserts, choice % UPSERT_PARTITIONS
    with cluster.installation.consumer() as client:
        leader = client.list_topics(topic, timeout=HANG_S).topics[topic].partitions[partition].leader
    begun = _kill_node(cluster.nodes[max(leader, 1) - 1])
    return Begun(f"{begun.detail}, leader of partition {partition}", begun.end)


def _kill_node(node: ClusterNode) -> Begun:
    node.kill()
    return Begun(f"broker {node.node + 1}", node.launch)


def _postgres(number: signal.Signals) -> Begin:
    def begin(cluster: Cluster, _: int) -> Begun:
        end_postgres(cluster, number)
        return Begun("", lambda: start_postgres(cluster))

    return begin


def _sessions(cluster: Cluster, _: int) -> Begun:
    """Ends each of our sessions as soon as it has written something that is not committed yet."""
    stop = threading.Event()
    ended: list[int] = []

    def terminate() -> None:
        with psycopg.connect(cluster.postgres.url("postgres"), autocommit=True) as connection:
            while not stop.wait(_SESSIONS_PAUSE_S):
                found = connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name LIKE 'order-upsert%' AND backend_xid IS NOT NULL"
                ).fetchall()
                ended.append(len(found))

    thread = threading.Thread(target=terminate, daemon=True)
    thread.start()

    def end() -> None:
        stop.set()
        thread.join()

    return Begun("in mid-transaction", end)


def _disk_full(cluster: Cluster, _: int) -> Begun:
    ballast = cluster.postgres.folder / "ballast"
    fill(ballast)

    def end() -> None:
        ballast.unlink()
        if cluster.postgres.child.exit_code is not None:  # without room for its log, Postgres ends
            start_postgres(cluster)

    return Begun("", end)


def _restore(cluster: Cluster, _: int) -> Begun:
    """Copies the data folder and restores it later: what was committed in between is lost."""
    data, backup = cluster.postgres.folder / "data", cluster.folder / "backup"
    end_postgres(cluster, signal.SIGINT)
    copy_folder(data, backup)
    start_postgres(cluster)

    def end() -> None:
        end_postgres(cluster, signal.SIGQUIT)
        shutil.rmtree(data)
        copy_folder(backup, data)
        shutil.rmtree(backup)
        start_postgres(cluster)

    return Begun("", end)


def _link(name: str, mode: str) -> Begin:
    def begin(cluster: Cluster, _: int) -> Begun:
        cluster.proxy.set_mode(name, mode)
        return Begun("", lambda: cluster.proxy.set_mode(name, OPEN))

    return begin


BEGIN: dict[str, Begin] = {
    "ingress kill": _ingress(signal.SIGKILL),
    "ingress freeze": _ingress(signal.SIGSTOP),
    "ingress term": _ingress(signal.SIGTERM),
    "consumer kill": _consumer(signal.SIGKILL),
    "consumer freeze": _consumer(signal.SIGSTOP),
    "consumer term": _consumer(signal.SIGTERM),
    "broker kill": _broker,
    "leader kill": _leader,
    "broker clock ahead": clock_ahead.put_ahead,
    "postgres immediate": _postgres(signal.SIGQUIT),
    "postgres kill": _postgres(signal.SIGKILL),
    "postgres sessions": _sessions,
    "postgres disk full": _disk_full,
    "postgres restore": _restore,
    "shop columns": add_columns,
    "shop trigger": refuse_an_order,
    "poison records": write_poison,
    **{f"{link} {mode}": _link(link, mode) for link in LINKS for mode in MODES},
    **log_loss.BEGIN,
    "replica promoted": failover.promote_replica,
}
