"""What an ingress counts for Prometheus. Each request costs some counters, an order none.

Every name and label is bounded: by routes, statuses, problems, Kafka's codes, and PARTNERS_MAX.
"""

from collections.abc import Callable, MutableMapping
from importlib.metadata import version
from typing import Any

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ingress.admission import Admission
from ingress.noted import PARTNER, REFUSED

PARTNERS_MAX = 100
"""The first ones of a process have names in the metrics; the rest counts as `other`."""
OTHER = "other"
ANSWER_S = 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the page


class IngressMetrics:
    """One process. The loop writes, the poll threads of the publisher too; the metrics port reads `registry`."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._requests = Counter(
            "orders_http_requests", "Requests answered, by route and status.", ["route", "status"], registry=registry
        )
        self._duration = Histogram(
            "orders_http_request_duration_seconds",
            "From the head of a request to its answer, without what the client takes to read it.",
            ["route"],
            buckets=ANSWER_S,
            registry=registry,
        )
        self.on_wait = Histogram(
            "orders_reply_wait_seconds",
            "From publishing a request to its last outcome, or to the end of the wait.",
            buckets=ANSWER_S,
            registry=registry,
        ).observe
        self._refused = Counter(
            "orders_http_refusals", "Requests refused, by the problem's name.", ["reason"], registry=registry
        )
        received = Counter(
            "orders_received",
            "Orders of requests: published, or skipped as invalid without being published.",
            ["disposition"],
            registry=registry,
        )
        self._published, self._invalid = received.labels("published"), received.labels("invalid")
        self._of_partner = Counter(
            "orders_partner_orders",
            f"Orders published, by partner; those after the first {PARTNERS_MAX} of a process count as {OTHER}.",
            ["partner"],
            registry=registry,
        )
        self._refused_of_partner = Counter(
            "orders_partner_refusals", "Requests refused, by partner as above.", ["partner"], registry=registry
        )
        self._failures = Counter(
            "orders_publish_failures",
            "Orders that Kafka did not acknowledge, by its code.",
            ["code"],
            registry=registry,
        )
        gauge = _gauges(registry)
        self._in_flight = (
            gauge("orders_in_flight_orders", "Orders that are not answered yet."),
            gauge("orders_in_flight_orders_limit", "So many may be in flight."),
            gauge("orders_in_flight_bytes", "Bytes of bodies that are not answered yet."),
            gauge("orders_in_flight_bytes_limit", "So many may be in flight."),
            gauge("orders_in_flight_requests", "Requests that are not answered yet."),
            gauge("orders_in_flight_requests_limit", "So many may be in flight."),
        )
        build = Gauge(
            "orders_build_info",
            "The version that runs; always 1.",
            ["version"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        build.labels(version("order-upsert")).set(1)
        self._bound: dict[tuple[str, int], tuple[Any, Any]] = {}
        self._partners: set[str] = set()
        self._tally: dict[str, int] = {}

    def on_answer(self, route: str, status: int, duration_s: float, scope: MutableMapping[str, Any]) -> None:
        """A request was answered. `route`: a path of ours, or OTHER."""
        bound = self._bound.get((route, status))
        if bound is None:
            bound = self._requests.labels(route, str(status)).inc, self._duration.labels(route).observe
            self._bound[route, status] = bound
        inc, observe = bound
        inc()
        observe(duration_s)
        if REFUSED in scope:
            self._refused.labels(scope[REFUSED]).inc()
            if PARTNER in scope:
                self._refused_of_partner.labels(self._named(scope[PARTNER])).inc()

    def on_published(self, partner_id: str, orders: int) -> None:
        """Orders of a request go into Kafka. `flush` counts them: a sum here costs less than a counter."""
        tally = self._tally
        tally[partner_id] = tally[partner_id] + orders if partner_id in tally else orders

    def on_invalid(self, orders: int) -> None:
        """Orders are skipped, and only counted in the answer."""
        self._invalid.inc(orders)

    def on_publish_failure(self, code: str) -> None:
        self._failures.labels(code).inc()

    def flush(self, admission: Admission) -> None:
        """Called some times a second, and at the end."""
        tally, self._tally = self._tally, {}
        for partner_id, orders in tally.items():
            self._published.inc(orders)
            self._of_partner.labels(self._named(partner_id)).inc(orders)
        now = (
            admission.orders,
            admission.orders_max,
            admission.bytes,
            admission.bytes_max,
            admission.requests,
            admission.requests_max,
        )
        for gauge, value in zip(self._in_flight, now, strict=True):
            gauge.set(value)

    def _named(self, partner_id: str) -> str:
        if partner_id not in self._partners:
            if len(self._partners) >= PARTNERS_MAX:
                return OTHER
            self._partners.add(partner_id)
        return partner_id


def _gauges(registry: CollectorRegistry) -> Callable[[str, str], Gauge]:
    """Of several processes behind one port, the sum of those that live."""
    return lambda name, text: Gauge(name, text, registry=registry, multiprocess_mode="livesum")
