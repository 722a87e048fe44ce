"""What an ingress counts, as Prometheus reads it."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from contracts.ledger_reader import NoLedger
from ingress.admission import Admission
from ingress.metrics import OTHER, PARTNERS_MAX, IngressMetrics
from ingress.noted import PARTNER, REFUSED
from ingress.orders import ORDERS_PATH
from ingress.routes import create_app
from ingress.settings import IngressSettings

ADMISSION = Admission(10, 1000, 5)


@pytest.fixture
def metrics() -> IngressMetrics:
    return IngressMetrics()


def value(metrics: IngressMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_a_request_is_counted_by_route_and_status_and_a_refused_one_by_its_reason(metrics: IngressMetrics) -> None:
    metrics.on_answer(ORDERS_PATH, 200, 0.02, {PARTNER: "p"})
    metrics.on_answer(ORDERS_PATH, 429, 0.01, {PARTNER: "p", REFUSED: "too-fast"})
    assert value(metrics, "orders_http_requests_total", route=ORDERS_PATH, status="200") == 1
    assert value(metrics, "orders_http_requests_total", route=ORDERS_PATH, status="429") == 1
    assert value(metrics, "orders_http_request_duration_seconds_count", route=ORDERS_PATH) == 2
    assert value(metrics, "orders_http_refusals_total", reason="too-fast") == 1
    assert value(metrics, "orders_partner_refusals_total", partner="p") == 1


def test_many_partners_have_few_names(metrics: IngressMetrics) -> None:
    for number in range(PARTNERS_MAX + 2):
        metrics.on_published(f"p-{number}", 3)
        metrics.on_published(f"p-{number}", 4)
    metrics.flush(ADMISSION)
    assert value(metrics, "orders_partner_orders_total", partner="p-0") == 7
    assert value(metrics, "orders_partner_orders_total", partner=OTHER) == 14
    assert value(metrics, "orders_partner_orders_total", partner=f"p-{PARTNERS_MAX}") is None
    assert value(metrics, "orders_received_total", disposition="published") == 7 * (PARTNERS_MAX + 2)


def test_what_is_in_flight_stands_beside_its_limit(metrics: IngressMetrics) -> None:
    metrics.flush(ADMISSION)
    found = [value(metrics, f"orders_in_flight_{what}_limit") for what in ("orders", "bytes", "requests")]
    assert found == [10, 1000, 5]
    assert value(metrics, "orders_in_flight_orders") == 0


@pytest.mark.parametrize(
    ("method", "path", "route", "status", "reason"),
    [
        ("GET", "/healthz", "/healthz", "200", None),
        ("HEAD", "/healthz", "/healthz", "200", None),
        ("GET", "/no/such/path", OTHER, "404", "not-found"),
    ],
)
def test_every_route_is_counted_and_no_path_of_a_client_becomes_a_name(
    metrics: IngressMetrics, method: str, path: str, route: str, status: str, reason: str | None
) -> None:
    app = create_app(IngressSettings(kafka_bootstrap="nowhere:1"), NoLedger(), ADMISSION, lambda _: None, metrics)

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(_: MutableMapping[str, Any]) -> None:
        pass

    asyncio.run(
        app({"type": "http", "method": method, "path": path, "headers": [], "query_string": b""}, receive, send)
    )
    assert value(metrics, "orders_http_requests_total", route=route, status=status) == 1
    if reason is not None:
        assert value(metrics, "orders_http_refusals_total", reason=reason) == 1
