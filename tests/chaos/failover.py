"""A standby that lacks the last commits is promoted, while orders are posted."""

import signal

from chaos.begun import Begun
from chaos.cluster import Cluster
from chaos.servers import end_postgres
from support.replica import Replica
from support.waiting import eventually


def promote_replica(cluster: Cluster, _: int) -> Begun:
    """The standby gets nothing any more. Later the primary is killed, and stays away."""
    primary = cluster.postgres
    standby = Replica(cluster.folder / "standby", primary, cluster.standby_port)
    cluster.running.callback(standby.stop)
    standby.start()
    standby.detach()

    def end() -> None:
        eventually(lambda: cluster.fence(primary) != cluster.fence(standby))
        end_postgres(cluster, signal.SIGKILL)
        standby.promote()
        cluster.take_over(standby)

    return Begun("", end)
