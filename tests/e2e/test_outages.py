"""What partners see while a part is down, and that the system recovers by itself (P5, P8)."""

import re
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from deploy.local.kafka import KafkaBroker
from deploy.local.ports import free_port
from deploy.local.postgres import PostgresServer
from support.http import get
from support.installation import Installation
from support.orders import an_order
from support.put_back import backup_of, restore
from support.waiting import HANG_S, eventually

OUTAGE_S = 10.0
Install = Callable[[str, str], Installation]


def test_postgres_down_for_10_s(install: Install, bootstrap: str, own_postgres: PostgresServer) -> None:
    installation = install(bootstrap, own_postgres.url())
    consumer = installation.start_consumer()
    patient = installation.start_ingress()
    hasty = installation.start_ingress({"ORDERS_REQUEST_TIMEOUT_S": "5"})
    token = installation.add_partner("outage")
    assert installation.post(patient, token, [an_order("before")]).counts == (1, 0, 0)

    own_postgres.kill()
    down_s = time.monotonic()
    with ThreadPoolExecutor() as pool:
        orders = [an_order(f"D-{n}") for n in range(100)] + [an_order("before")]
        waiting = pool.submit(installation.post, patient, token, orders)
        answer = installation.post(hasty, token, [an_order("hasty")])
        assert answer.status == 504
        assert re.fullmatch(r"/api/integration/orders/requests/[0-9a-f-]{36}", answer.headers["location"])
        assert list(answer.json) == ["error"]
        eventually(lambda: time.monotonic() - down_s > OUTAGE_S)
        assert not waiting.done()
        own_postgres.start()
        assert waiting.result().counts == (100, 0, 1)
    eventually(lambda: "hasty" in installation.rows("outage"))
    assert installation.post(patient, token, [an_order("hasty")]).counts == (0, 0, 1)
    log = consumer.log.read_text()
    assert log.count("assigned:") == 1
    assert "revoked:" not in log
    assert not installation.records(installation.settings.topics.dlq)


def test_a_session_that_postgres_ends_is_opened_again(installation: Installation) -> None:
    installation.start_consumer()
    ingress = installation.start_ingress()
    token = installation.add_partner()
    for number in range(3):
        assert installation.post(ingress, token, [an_order(f"T-{number}")]).counts == (1, 0, 0)
        installation.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'order-upsert consumer'"
        )


def test_kafka_down(install: Install, own_kafka: KafkaBroker, database: str) -> None:
    installation = install(own_kafka.bootstrap, database)
    installation.start_consumer()
    ingress = installation.start_ingress()
    token = installation.add_partner("kafka")
    assert installation.post(ingress, token, [an_order("before")]).counts == (1, 0, 0)
    ends = installation.end_offsets(installation.settings.topics.upserts)

    own_kafka.kill()
    eventually(lambda: not ingress.is_ready)
    assert get(ingress.port, "/healthz").status == 200
    for _ in range(3):
        answer = installation.post(ingress, token, [an_order("refused")])
        assert (answer.status, list(answer.json)) == (503, ["error"])
        assert int(answer.headers["retry-after"]) >= 1
    own_kafka.start()
    assert installation.end_offsets(installation.settings.topics.upserts) == ends
    eventually(lambda: ingress.is_ready)
    assert installation.post(ingress, token, [an_order("before"), an_order("after")]).counts == (1, 0, 1)
    assert sorted(installation.rows("kafka")) == ["after", "before"]


def test_a_broker_that_hangs_is_504_because_the_orders_may_be_there(
    install: Install, own_kafka: KafkaBroker, database: str
) -> None:
    installation = install(own_kafka.bootstrap, database)
    ingress = installation.start_ingress({"ORDERS_REQUEST_TIMEOUT_S": "2"})
    token = installation.add_partner()
    own_kafka.child.signal(signal.SIGSTOP)
    try:
        answer = installation.post(ingress, token, [an_order()])
        assert answer.status == 504
        assert "location" in answer.headers
        eventually(lambda: b"not acknowledged" in ingress.child.log.read_bytes())
    finally:
        own_kafka.child.signal(signal.SIGCONT)


def test_started_before_kafka_both_wait_for_it(install: Install, own_kafka: KafkaBroker, database: str) -> None:
    installation = install(own_kafka.bootstrap, database)
    token = installation.add_partner()
    own_kafka.stop()
    consumer = installation.start("consumer")
    port = free_port()
    ingress = installation.start("ingress", variables={"ORDERS_PORT": str(port)})
    eventually(lambda: b"trying again" in consumer.log.read_bytes())
    eventually(lambda: b"waiting for Kafka" in ingress.log.read_bytes())
    own_kafka.start()
    consumer.wait_until(lambda: b"assigned:" in consumer.log.read_bytes(), HANG_S)
    eventually(lambda: get(port, "/readyz").status == 200)
    assert token


def test_a_postgres_restored_from_a_backup_catches_up(
    install: Install, bootstrap: str, own_postgres: PostgresServer
) -> None:
    """P8, without a new order, and without a restart of the consumer."""
    installation = install(bootstrap, own_postgres.url())
    consumer = installation.start_consumer()
    ingress = installation.start_ingress()
    token = installation.add_partner("restored")
    assert installation.post(ingress, token, [an_order(f"B-{n}") for n in range(50)]).counts == (50, 0, 0)
    backup = backup_of(own_postgres)
    changed = [an_order(f"B-{n}", name="changed") for n in range(25)] + [an_order(f"N-{n}") for n in range(25)]
    assert installation.post(ingress, token, changed).counts == (25, 25, 0)
    everything = "SELECT * FROM orders ORDER BY order_id"
    rows = installation.sql(everything)
    restore(own_postgres, backup)
    eventually(lambda: installation.sql(everything) == rows)
    assert installation.post(ingress, token, [*changed, an_order("B-0")]).counts == (0, 1, 50)
    assert consumer.log.read_text().count("assigned:") == 1
