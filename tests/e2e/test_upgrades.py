"""The program of an earlier commit beside today's, on the same topics and tables, in either order, and back."""

import json
from contextlib import closing
from typing import Any

import psycopg
import pytest
from psycopg import sql

from consumer.postgres.migrate import _migrations
from deploy.local.child import Child
from support.commands import orders_here
from support.earlier import Earlier, unpacked
from support.http import ORDERS_PATH, Connection, get
from support.installation import Installation
from support.orders import an_order
from support.steady_partners import steady_load
from support.waiting import HANG_S, eventually

PARTNERS = "upgrade-1", "upgrade-2"
BY_VERSION = (
    "SELECT count(*) FILTER (WHERE event_time IS NULL) AS earlier, count(event_time) AS today FROM request_part"
)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Earlier:
    return unpacked(tmp_path_factory.mktemp("earlier"))


@pytest.fixture
def empty(installation: Installation) -> Installation:
    """Its tables are gone: the earlier version makes them."""
    with psycopg.connect(installation.postgres_url, autocommit=True) as connection:
        owner = sql.Identifier(connection.info.user)
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute(sql.SQL("CREATE SCHEMA public AUTHORIZATION {}").format(owner))
    return installation


def test_versions_work_side_by_side_in_both_orders_and_back(empty: Installation, earlier: Earlier) -> None:
    """Every answer has the exact counts, whichever versions took the request and applied its orders."""
    new_migrations = _migrations().keys() - earlier.migrations()
    assert new_migrations, "the wheel in tests/vendor/earlier has today's tables"
    earlier.set_up(empty)
    old_consumer, old_ingress = earlier.start_consumer(empty), earlier.start_ingress(empty)
    with steady_load(empty, PARTNERS, old_ingress) as load:
        load.goes_on()
        # Today's program on the tables of before: consumers refuse them, an ingress takes orders.
        refused = empty.start("consumer")
        assert ended(refused) == 1
        assert f"Missing migrations: {', '.join(sorted(new_migrations))}. Run: orders setup" in refused.written()
        ingress = empty.start_ingress()
        token = load.partners[0].token
        assert get(ingress.port, f"{ORDERS_PATH}/requests", token=token).status == 503
        with closing(Connection(ingress.port)) as connection:
            body = json.dumps({"data": [an_order()]}).encode()
            assert connection.request("POST", f"{ORDERS_PATH}/dry-run", body, {"token": token}).status == 501
        load.through(ingress)
        load.goes_on()
        load.through(ingress, old_ingress)
        # The tables, then all four at once: both consumers apply.
        done = orders_here("setup", env=empty.environment)
        assert done.returncode == 0, done.stderr
        assert get(ingress.port, f"{ORDERS_PATH}/requests", token=token).status == 200
        consumer = empty.start_consumer()
        before = applied(empty)
        load.goes_on()
        eventually(lambda: all(count > before[version] for version, count in applied(empty).items()))
        # Today's alone.
        stop(old_consumer)
        load.through(ingress)
        stop(old_ingress.child)
        before = applied(empty)
        load.goes_on()
        assert applied(empty)["earlier"] == before["earlier"]
        # And back, the consumer first: events of today's ingress are for the earlier consumer alone.
        old_consumer = earlier.start_consumer(empty)
        stop(consumer)
        before = applied(empty)
        load.goes_on()
        assert applied(empty)["today"] == before["today"]
        old_ingress = earlier.start_ingress(empty)
        load.through(old_ingress)
        stop(ingress.child)
        load.goes_on()
        # Up again, the consumer first.
        consumer = empty.start_consumer()
        stop(old_consumer)
        before = applied(empty)
        load.goes_on()
        assert applied(empty)["earlier"] == before["earlier"]
    empty.wait_until_answered()
    for partner in load.partners:
        assert {order_id: row["name"] for order_id, row in empty.rows(partner.name).items()} == partner.names
    rebuilt = orders_here("replay", "--json", env=empty.environment)
    assert (rebuilt.returncode, json.loads(rebuilt.stdout)["differences"]) == (0, 0), rebuilt.stderr


def applied(installation: Installation) -> dict[str, Any]:
    """Parts of requests by the version that applied them: only today's notes their time."""
    (counts,) = installation.sql(BY_VERSION)
    return counts


def ended(child: Child) -> int | None:
    eventually(lambda: child.exit_code is not None)
    return child.exit_code


def stop(child: Child) -> None:
    """As a supervisor does, under load."""
    child.stop(HANG_S)
    assert child.exit_code == 0, child.last_words()
