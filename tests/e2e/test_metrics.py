"""What Prometheus reads from running processes."""

import json

import psutil
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.ports import free_port
from support.http import get
from support.installation import Installation, headers_of
from support.orders import an_order
from support.waiting import eventually

Samples = dict[str, float]


def samples(port: int) -> Samples:
    """By name and labels, as they are written."""
    answer = get(port, "/metrics")
    assert answer.status == 200
    found = {}
    for family in text_string_to_metric_families(answer.body.decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sample.labels.items())
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_a_consumer_tells_what_it_applied_and_how_far_behind_it_is(installation: Installation) -> None:
    port = free_port()
    installation.start_consumer({"ORDERS_METRICS_PORT": str(port)})
    value = json.dumps(an_order("O-1"), separators=(",", ":")).encode()
    values = value, value, b"{}"
    installation.produce([{"key": b"O-1", "value": value, "headers": headers_of("p")} for value in values])
    installation.wait_until_answered()

    eventually(lambda: sum(n for name, n in samples(port).items() if "_applied_offset" in name) == 3)
    found = samples(port)
    assert found["orders_applied_total{outcome=inserted}"] == 1
    assert found["orders_applied_total{outcome=unchanged}"] == 1
    assert found["orders_applied_total{outcome=invalid}"] == 1
    assert found["orders_dead_letters_total{reason=Violation}"] == 1
    assert found["orders_consumer_assigned_partitions"] == 12
    assert found["orders_consumer_rebalances_total"] >= 1
    assert found["orders_batch_phase_seconds_count{phase=commit}"] == found["orders_batch_records_count"] >= 1
    assert [found[f"orders_consumer_lag_records{{partition={n}}}"] for n in range(12)] == [0] * 12


def test_the_sums_of_all_workers_do_not_fall_when_one_dies(
    installation: Installation,
) -> None:
    port = free_port()
    ingress = installation.start_ingress({"ORDERS_METRICS_PORT": str(port), "ORDERS_WORKERS": "2"})
    installation.start_consumer()
    token = installation.add_partner("shop")
    assert installation.post(ingress, token, [an_order("O-1"), an_order("O-2")]).counts == (2, 0, 0)
    assert installation.post(ingress, "wrong", []).status == 401
    eventually(lambda: samples(port).get("orders_partner_orders_total{partner=shop}") == 2)
    before = samples(port)
    assert before["orders_http_refusals_total{reason=unauthorized}"] >= 1
    assert before["orders_http_requests_total{route=/readyz,status=200}"] >= 1
    assert before["orders_reply_wait_seconds_count"] >= 1
    eventually(lambda: samples(port)["orders_in_flight_orders_limit"] == 40_000)
    supervisor = psutil.Process(ingress.child.pid)
    killed, _ = supervisor.children()
    killed.kill()
    eventually(lambda: killed not in supervisor.children() and len(supervisor.children()) == 2)
    eventually(lambda: samples(port)["orders_in_flight_orders_limit"] == 40_000)
    after = samples(port)
    assert all(after[name] >= before[name] for name in before if name.endswith("_total") or "_total{" in name)
