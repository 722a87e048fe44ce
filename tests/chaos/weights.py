"""The memory of the processes, over a long time."""

import threading

import psutil

from chaos.cluster import Cluster
from chaos.history import History, Weight

EVERY_S = 2.0
MINUTE_S = 60.0


class Scales(threading.Thread):
    """Writes the memory of every ingress and consumer into the history, until `stop` is set."""

    def __init__(self, cluster: Cluster, history: History) -> None:
        super().__init__(name="scales", daemon=True)
        self.stop = threading.Event()
        self._cluster = cluster
        self._history = history

    def run(self) -> None:
        while not self.stop.wait(EVERY_S):
            children = [*self._cluster.consumers, *(slot.child for slot in self._cluster.ingresses)]
            for child in children:
                try:
                    rss_mb = psutil.Process(child.pid).memory_info().rss / 1e6
                except psutil.Error:
                    continue  # it has just ended
                self._history.weight(Weight(child.name, self._history.now_s(), round(rss_mb, 1)))


def by_minute(weights: list[Weight]) -> dict[str, list[float]]:
    """For each process, its highest memory in each minute in which it ran."""
    minutes: dict[str, dict[int, float]] = {}
    for weight in weights:
        most = minutes.setdefault(weight.process, {})
        minute = int(weight.at_s // MINUTE_S)
        most[minute] = max(most.get(minute, 0), weight.rss_mb)
    return {process: [most[minute] for minute in sorted(most)] for process, most in minutes.items()}
