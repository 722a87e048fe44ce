"""docs/metrics.md is what the code says."""

from deploy.metrics_page import page
from support.kept import ROOT


def test_the_catalogue_of_metrics_is_that_of_the_code() -> None:
    """If not: make metrics."""
    assert (ROOT / "docs" / "metrics.md").read_text() == page()


def test_the_names_on_which_dashboards_and_alerts_stand_are_there() -> None:
    for name in (
        "orders_http_requests_total` | counter | `route`, `status`",
        "orders_http_request_duration_seconds",
        "orders_applied_total` | counter | `outcome`",
        "orders_consumer_behind_seconds` | gauge | `partition`",
        "orders_consumer_lag_records` | gauge | `partition`",
        "orders_in_flight_orders`",
        "orders_in_flight_orders_limit`",
        "orders_batch_phase_seconds` | histogram | `phase`",
        "orders_dead_letters_total` | counter | `reason`",
    ):
        assert f"| `{name}" in page()
