"""The port on which Prometheus reads what a process counts."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from contracts.settings import MetricsSettings
from deploy.health_port import Page, health_port

PATH = "/metrics"


def metrics_port(
    settings: MetricsSettings, registry: CollectorRegistry, refresh: Callable[[], None] = lambda: None
) -> AbstractContextManager[None]:
    """Inside, `registry` is served, if a port is set. `refresh` is called before it is read. Raises HealthPortError."""

    def page() -> Page:
        refresh()
        return Page(200, generate_latest(registry), CONTENT_TYPE_LATEST)

    return health_port(settings.metrics_host, settings.metrics_port, {PATH: page}, "metrics")
