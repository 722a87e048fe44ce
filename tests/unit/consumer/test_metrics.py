"""What a consumer counts, as Prometheus reads it."""

from collections.abc import Collection

import psycopg
import pytest

from consumer.errors import RetryLaterError
from consumer.metrics import ConsumerMetrics
from contracts.result import Outcome

CLOCK_S = 1000.0


@pytest.fixture
def metrics() -> ConsumerMetrics:
    return ConsumerMetrics(lambda: CLOCK_S)


def value(metrics: ConsumerMetrics, name: str, **labels: str) -> float | None:
    metrics.refresh()
    return metrics.registry.get_sample_value(name, labels)


def test_outcomes_are_counted_each(metrics: ConsumerMetrics) -> None:
    metrics.on_applied([Outcome.INSERTED, Outcome.STALE, Outcome.INSERTED])
    metrics.on_applied([])
    counted = {outcome: value(metrics, "orders_applied_total", outcome=outcome.value) for outcome in Outcome}
    assert counted == {"inserted": 2, "updated": 0, "unchanged": 0, "invalid": 0, "stale": 1}


@pytest.mark.parametrize(
    ("cause", "name"),
    [
        (psycopg.errors.DeadlockDetected(), "40"),
        (psycopg.OperationalError("the connection is lost"), "none"),
        (None, "kafka"),
    ],
)
def test_what_is_tried_again_is_counted_by_the_class_of_its_sqlstate(
    metrics: ConsumerMetrics, cause: Exception | None, name: str
) -> None:
    error = RetryLaterError("away")
    error.__cause__ = cause
    metrics.on_retry(error)
    assert value(metrics, "orders_retries_total", sqlstate_class=name) == 1


def test_a_partition_is_told_while_it_is_ours(metrics: ConsumerMetrics) -> None:
    metrics.look({3: 5}, lambda partitions: dict.fromkeys(partitions, 7))
    assert value(metrics, "orders_consumer_lag_records", partition="3") == 2
    assert value(metrics, "orders_consumer_applied_offset", partition="3") == 5
    metrics.progress.look({}, {}, CLOCK_S)
    assert value(metrics, "orders_consumer_lag_records", partition="3") is None


def test_the_ends_are_asked_for_once_a_second_at_most(metrics: ConsumerMetrics) -> None:
    asked: list[object] = []

    def read_ends(partitions: Collection[int]) -> dict[int, int]:
        asked.append(partitions)
        return {}

    for _ in range(3):
        metrics.look({}, read_ends)
    assert len(asked) == 1
