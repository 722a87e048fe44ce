"""The port on which Prometheus reads what a process counts."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from contracts.settings import MetricsSettings
from deploy.health_port import Page, health_port

PATH = "/metrics"
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Set, it makes prometheus-client keep what it counts in files of this folder. A process asks for it once, as it
starts."""
DEAD_WORKERS_MAX = 100
"""What so many workers counted is kept when they are dead: a sum that falls would look like a new start."""


def metrics_port(
    settings: MetricsSettings, registry: CollectorRegistry, refresh: Callable[[], None] = lambda: None
) -> AbstractContextManager[None]:
    """Inside, `registry` is served, if a port is set. `refresh` is called before it is read. Raises HealthPortError."""

    def page() -> Page:
        refresh()
        return Page(200, generate_latest(registry), CONTENT_TYPE_LATEST)

    return health_port(settings.metrics_host, settings.metrics_port, {PATH: page}, "metrics")


@contextmanager
def metrics_port_of_workers(settings: MetricsSettings) -> Iterator[Callable[[int], None]]:
    """Inside, the sums of all workers that are started are served, if a port is set. Raises HealthPortError.

    Gives what is to be called with the pid of a worker that ended: then it has nothing in flight any more.
    """
    if settings.metrics_port is None:
        yield lambda _: None
        return
    dead: list[int] = []
    with TemporaryDirectory(prefix="order-upsert-metrics-") as folder:

        def on_end(pid: int) -> None:
            mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]
            dead.append(pid)
            if len(dead) > DEAD_WORKERS_MAX:
                for file in Path(folder).glob(f"*_{dead.pop(0)}.db"):
                    file.unlink()

        os.environ[FOLDER_VARIABLE] = folder
        registry = CollectorRegistry()
        MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
        try:
            with metrics_port(settings, registry):
                yield on_end
        finally:
            del os.environ[FOLDER_VARIABLE]
