"""Kafka is the truth, as long as it is the same Kafka: a log that was put back, cut or made anew is noticed."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from deploy.local.child import Child
from deploy.local.kafka import KafkaBroker
from deploy.local.ports import free_port
from deploy.setup import set_up_topics
from support.commands import orders_here
from support.installation import Ingress, Installation, headers_of
from support.orders import an_order
from support.put_back import copy_of, put_back
from support.waiting import eventually

Install = Callable[[str, str], Installation]
ORDERS = 60
NO_POSTGRES = "postgresql://u@127.0.0.1:1/d"


@pytest.fixture
def installed(install: Install, own_kafka: KafkaBroker, database: str) -> Installation:
    return install(own_kafka.bootstrap, database)


def orders(tag: str, count: int = ORDERS) -> list[dict[str, object]]:
    return [an_order(f"{tag}-{number}") for number in range(count)]


def require_halted(consumer: Child, *texts: str) -> None:
    eventually(lambda: consumer.exit_code is not None)
    assert consumer.exit_code != 0
    log = consumer.log.read_text()
    assert "Traceback" not in log
    for text in (*texts, "orders reseed"):
        assert text in log


def write_foreign(installation: Installation, tag: str, count: int) -> None:
    """Events without the ingress."""
    installation.produce(
        [
            {"key": f"{tag}-{n}", "value": json.dumps(an_order(f"{tag}-{n}")), "headers": headers_of("foreign")}
            for n in range(count)
        ]
    )


def require_refused(installation: Installation, ingress: Ingress, token: str) -> None:
    """503, asked for 202 or not, and not ready."""
    eventually(lambda: installation.post(ingress, token, orders("refused", 1)).status == 503)
    answer = installation.post(ingress, token, orders("refused", 1), prefer="respond-async")
    assert answer.status == 503
    assert "retry-after" in answer.headers
    assert not ingress.is_ready


def make_again(installation: Installation) -> None:
    """Deletes the topic and makes it again."""
    admin = AdminClient({"bootstrap.servers": installation.bootstrap})
    topic = installation.settings.topics.upserts
    admin.delete_topics([topic])[topic].result()
    eventually(lambda: topic not in admin.list_topics(timeout=10).topics)
    set_up_topics(installation.settings, None)


def test_kafka_put_back_to_an_older_copy_stops_the_consumer_and_orders_get_503(
    installed: Installation, own_kafka: KafkaBroker, folder: Path
) -> None:
    consumer, ingress = installed.start_consumer(), installed.start_ingress()
    token = installed.add_partner("shop")
    assert installed.post(ingress, token, orders("before")).counts == (ORDERS, 0, 0)
    copy = copy_of(own_kafka, folder)
    eventually(lambda: installed.post(ingress, token, orders("lost")).status == 200)
    put_back(own_kafka, copy)
    require_halted(consumer, "Kafka lost the", "was put back to an older state")
    require_refused(installed, ingress, token)
    require_halted(installed.start("consumer"), "Kafka lost the")  # a supervisor that starts it again changes nothing
    assert len(installed.rows("shop")) == 2 * ORDERS
    shown = orders_here("history", "before-1", "--json", env=installed.environment)
    assert "not what was applied" in shown.stderr


def test_without_a_consumer_no_orders_are_taken_in_and_a_log_that_has_grown_again_is_not_taken_for_the_same(
    installed: Installation, own_kafka: KafkaBroker, folder: Path
) -> None:
    """Neither by an ingress that runs while Kafka is put back, nor by one that is started afterwards."""
    consumer, ingress = installed.start_consumer(), installed.start_ingress()
    token = installed.add_partner("shop")
    copy = copy_of(own_kafka, folder)
    write_foreign(installed, "lost", 4 * ORDERS)
    installed.wait_until_answered()
    consumer.stop()
    put_back(own_kafka, copy)
    port = free_port()
    later = Ingress(installed.start("ingress", {"ORDERS_PORT": str(port)}), port)
    for each in (ingress, later):
        eventually(lambda each=each: "No orders are taken in" in each.child.log.read_text())  # type: ignore[misc]
        assert installed.post(each, token, orders("2"), prefer="respond-async").status == 503
        assert not each.is_ready
        assert "ends at offset" in each.child.log.read_text()
    write_foreign(installed, "other", 12 * ORDERS)
    ends, fence = (
        installed.end_offsets(installed.settings.topics.upserts),
        installed.sql("SELECT * FROM consumer_partition"),
    )
    assert all(ends[row["partition"]] > row["next_offset"] for row in fence)
    require_halted(installed.start("consumer"), "is not the one that was applied")
    assert not installed.sql("SELECT FROM orders WHERE order_id LIKE 'other-%%'")


def test_a_topic_that_is_made_again_under_a_sleeping_consumer_is_noticed(
    installed: Installation, own_kafka: KafkaBroker
) -> None:
    consumer, ingress = installed.start_consumer(), installed.start_ingress()
    token = installed.add_partner("shop")
    write_foreign(installed, "lost", 10 * ORDERS)
    installed.wait_until_answered()
    os.kill(consumer.pid, signal.SIGSTOP)
    make_again(installed)
    write_foreign(installed, "other", 10 * ORDERS)
    os.kill(consumer.pid, signal.SIGCONT)
    require_halted(consumer, "was deleted and created again")
    require_refused(installed, ingress, token)


def test_orders_are_taken_again_when_a_consumer_finds_the_log_right(
    installed: Installation, own_kafka: KafkaBroker, folder: Path
) -> None:
    consumer, ingress = installed.start_consumer(), installed.start_ingress()
    token = installed.add_partner("shop")
    older = copy_of(own_kafka, folder)
    eventually(lambda: installed.post(ingress, token, orders("1")).status == 200)
    newer = copy_of(own_kafka, folder, "newer")
    put_back(own_kafka, older)
    require_halted(consumer, "Kafka lost the")
    require_refused(installed, ingress, token)
    put_back(own_kafka, newer)  # the operator found the right copy
    installed.start_consumer()
    eventually(lambda: installed.post(ingress, token, orders("2")).status == 200)
    eventually(lambda: ingress.is_ready)
    assert len(installed.rows("shop")) == 2 * ORDERS


def test_a_topic_that_is_made_again_takes_no_order_in_before_a_reseed(installation: Installation) -> None:
    """Whether the ingress reaches Postgres or not, and no consumer runs."""
    consumer = installation.start_consumer()
    knowing, unknowing = installation.start_ingress(), installation.start_ingress({"ORDERS_POSTGRES_URL": NO_POSTGRES})
    token = installation.add_partner("shop")
    assert installation.post(unknowing, token, orders("1")).counts == (ORDERS, 0, 0)
    consumer.stop()

    def status_of(ingress: Ingress) -> int:
        return installation.post(ingress, token, orders("2", 1), prefer="respond-async").status

    make_again(installation)
    for ingress in (knowing, unknowing):
        eventually(lambda ingress=ingress: status_of(ingress) == 503)  # type: ignore[misc]
        assert "deleted and created again" in ingress.child.log.read_text()
    assert orders_here("reseed", "--yes", env=installation.environment).returncode == 0
    installation.start_consumer()
    eventually(lambda: status_of(knowing) == 202)
