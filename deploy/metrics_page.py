"""docs/metrics.md: every metric, from the code."""

import sys
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from consumer.metrics import ConsumerMetrics
from ingress.metrics import IngressMetrics

_HEAD = """# Metrics

`make metrics` writes this page from the code. `ORDERS_METRICS_PORT` opens the port: `GET /metrics` answers in the text
format of Prometheus. The supervisor of `orders ingress --workers N` serves the sums of its workers; one that died has
nothing in flight any more, and what it counted stays.

Requests that are refused before there is a path, as a head that is too long, are counted nowhere. A counter of orders
by partner names the first partners of a process, and counts the rest as `other`.
"""


def page() -> str:
    return "\n".join(
        [_HEAD, *_table("An ingress", IngressMetrics().registry), *_table("A consumer", ConsumerMetrics().registry)]
    )


def _table(title: str, registry: CollectorRegistry) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| metric | kind | labels | what |"
    yield "|---|---|---|---|"
    for metric in registry._collector_to_names:
        assert isinstance(metric, MetricWrapperBase)
        name = metric._name + ("_total" if metric._type == "counter" else "")
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)
        yield f"| `{name}` | {metric._type} | {labels} | {metric._documentation} |"
    yield ""


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
