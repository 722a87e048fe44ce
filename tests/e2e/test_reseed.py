"""`orders reseed`: after Kafka lost something, the tables are the truth, and the topic explains them again (P7)."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from consumer.reseed import work
from deploy.local.kafka import KafkaBroker
from deploy.setup import set_up_topics
from support.commands import Done, orders_here
from support.installation import Installation, headers_of
from support.orders import an_order
from support.put_back import copy_of, put_back
from support.waiting import HANG_S

Install = Callable[[str, str], Installation]
ORDERS = 60


@pytest.fixture
def installed(install: Install, own_kafka: KafkaBroker, database: str) -> Installation:
    return install(own_kafka.bootstrap, database)


def write(installation: Installation, numbers: range, **fields: Any) -> None:
    """Events of a shop that writes itself."""
    installation.produce(
        [
            {"key": f"R-{n}", "value": json.dumps(an_order(f"R-{n}", **fields)), "headers": headers_of("shop")}
            for n in numbers
        ]
    )


def rows(installation: Installation) -> dict[str, tuple[str, int]]:
    return {row["order_id"]: (row["name"], row["total_amount"]) for row in installation.rows("shop").values()}


def require_rebuilt(installation: Installation) -> None:
    """A replay of the topic gives the same rows, byte for byte."""
    installation.wait_until_answered()
    done = run(installation, "replay", "--json", "--fresh", "--yes")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["differences"] == 0


def run(installation: Installation, *arguments: str) -> Done:
    return orders_here(*arguments, env=installation.environment)


def reseed(installation: Installation, *options: str) -> str:
    done = run(installation, "reseed", "--yes", *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_lost_tail_is_written_again_and_new_events_stay_the_newest(
    installed: Installation, own_kafka: KafkaBroker, folder: Path
) -> None:
    """Among the lost events are changes of old orders, new orders, and a change back to the value of before."""
    consumer = installed.start_consumer()
    write(installed, range(ORDERS), name="first")
    installed.wait_until_answered()
    copy = copy_of(own_kafka, folder)
    write(installed, range(20), name="lost")
    write(installed, range(10), name="first")
    write(installed, range(ORDERS, ORDERS + 20), name="lost")
    installed.wait_until_answered()
    expected = rows(installed)
    consumer.stop()
    put_back(own_kafka, copy)
    write(installed, range(15, 30), name="new")  # while no consumer ran: over the offsets of what was lost
    write(installed, range(5), name="first")
    expected |= {f"R-{n}": ("new", expected["R-0"][1]) for n in range(15, 30)}

    planned = run(installed, "reseed", "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert "orders are not explained by the topic" in planned.stdout
    told = reseed(installed)
    assert "orders were written to the topic" in told
    installed.start_consumer()
    require_rebuilt(installed)
    assert rows(installed) == expected


def test_a_topic_that_was_made_again_gets_every_order(
    installed: Installation, own_kafka: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "ROWS_AT_ONCE", 2)  # so that the orders of a partition are several pages
    monkeypatch.setattr(work, "KEYS_AT_ONCE", 7)
    consumer = installed.start_consumer()
    write(installed, range(ORDERS), name="before")
    installed.wait_until_answered()
    expected = rows(installed)
    consumer.stop()
    topic, admin = installed.settings.topics.upserts, AdminClient({"bootstrap.servers": own_kafka.bootstrap})
    admin.delete_topics([topic])[topic].result()
    while topic in admin.list_topics(timeout=60).topics:
        pass
    set_up_topics(installed.settings, None)
    write(installed, range(10), name="new")
    reseed(installed)
    assert installed.sql("SELECT DISTINCT answered_to FROM consumer_partition") == [{"answered_to": 0}]
    installed.start_consumer()
    require_rebuilt(installed)
    assert rows(installed) == expected | {f"R-{n}": ("new", expected["R-0"][1]) for n in range(10)}


def test_the_tables_move_to_another_cluster(
    installed: Installation, bootstrap: str, install: Install, database: str
) -> None:
    consumer = installed.start_consumer()
    write(installed, range(ORDERS), name="before")
    installed.wait_until_answered()
    expected = rows(installed)
    consumer.stop()
    moved = install(bootstrap, database)
    reseed(moved)
    moved.start_consumer()
    write(moved, range(5), name="new")
    require_rebuilt(moved)
    assert rows(moved) == expected | {f"R-{n}": ("new", expected["R-0"][1]) for n in range(5)}


def test_a_site_is_lost_and_its_mirror_lags(
    installed: Installation, bootstrap: str, install: Install, database: str
) -> None:
    """The mirror has the first records of each partition, at the same offsets."""
    consumer = installed.start_consumer()
    write(installed, range(ORDERS), name="first")
    write(installed, range(0, ORDERS, 2), name="second")
    installed.wait_until_answered()
    expected = rows(installed)
    consumer.stop()
    mirror = install(bootstrap, database)
    records = installed.records(installed.settings.topics.upserts)
    ends = installed.end_offsets(installed.settings.topics.upserts)
    mirrored = [record for record in records if (record.offset() or 0) < ends[record.partition() or 0] * 2 // 3]
    assert 0 < len(mirrored) < len(records)
    mirror.produce(
        [
            {"key": r.key(), "value": r.value(), "headers": list(r.headers() or ()), "partition": r.partition()}
            for r in mirrored
        ]
    )
    stopped = mirror.start("consumer")
    stopped.wait_until(lambda: stopped.exit_code is not None, HANG_S)
    assert "orders reseed" in stopped.log.read_text()
    told = reseed(mirror)
    assert f"{len(rows(mirror))} orders were written" not in told  # what the mirror has need not be written
    mirror.start_consumer()
    require_rebuilt(mirror)
    assert rows(mirror) == expected


def test_a_topic_that_explains_everything_is_left_alone(installed: Installation) -> None:
    consumer = installed.start_consumer()
    write(installed, range(ORDERS))
    installed.wait_until_answered()
    running = run(installed, "reseed", "--yes")
    assert running.returncode == 1
    assert "Stop all consumers" in running.stderr
    consumer.stop()
    ends = installed.end_offsets(installed.settings.topics.upserts)
    done = run(installed, "reseed", "--yes")
    assert done.returncode == 1
    assert "there is nothing to do" in done.stderr
    assert installed.end_offsets(installed.settings.topics.upserts) == ends


def test_a_row_that_somebody_changed_by_hand_is_written_to_the_topic(installed: Installation) -> None:
    consumer = installed.start_consumer()
    write(installed, range(ORDERS))
    installed.wait_until_answered()
    consumer.stop()
    installed.sql("UPDATE orders SET name = 'by hand' WHERE order_id = 'R-7'")
    answered = installed.committed()
    unanswered = max(answered, key=lambda partition: answered[partition])
    answered[unanswered] -= 1  # a consumer that was killed had applied the last event, and not replied
    at = TopicPartition(installed.settings.topics.upserts, unanswered, answered[unanswered])
    with installed.consumer(installed.settings.topics.consumer_group) as client:
        client.commit(offsets=[at], asynchronous=False)
    assert "1 orders are not explained" in reseed(installed)
    assert installed.committed() == answered  # that event is read again, and its reply is sent
    installed.start_consumer()
    require_rebuilt(installed)
    assert installed.rows("shop")["R-7"]["name"] == "by hand"


def test_a_reseed_that_was_killed_goes_on(installed: Installation, own_kafka: KafkaBroker, folder: Path) -> None:
    consumer = installed.start_consumer()
    copy = copy_of(own_kafka, folder)
    write(installed, range(ORDERS), name="lost")
    installed.wait_until_answered()
    expected = rows(installed)
    consumer.stop()
    put_back(own_kafka, copy)
    program = [sys.executable, "-m", "support.dying_reseed", "reseed", "--yes"]
    environment = {**os.environ, **installed.environment, "PYTHONPATH": str(Path(__file__).parents[1])}
    killed = subprocess.run(program, env=environment, check=False, timeout=HANG_S)
    assert killed.returncode == -signal.SIGKILL
    waiting = installed.start("consumer")
    waiting.wait_until(lambda: waiting.exit_code is not None, HANG_S)
    assert "The tables are being reseeded" in waiting.log.read_text()
    reseed(installed)
    installed.start_consumer()
    require_rebuilt(installed)
    assert rows(installed) == expected
    assert not installed.sql("SELECT FROM reseed UNION ALL SELECT FROM reseed_order")
