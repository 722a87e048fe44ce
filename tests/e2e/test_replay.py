"""`orders replay` beside a running service: killed, resumed, swapped, with nothing lost or applied twice."""

import json
import sys
from contextlib import closing
from typing import Any

import psycopg
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from consumer.replay import rebuild
from contracts.partitioner import partition_of
from deploy.local.child import Child
from support.commands import Done, orders, orders_here
from support.http import ORDERS_PATH, Connection
from support.installation import Ingress, Installation, headers_of
from support.many_events import history, write
from support.orders import an_order
from support.posting import posting
from support.waiting import HANG_S, eventually

EVENTS, ORDERS = 20_000, 4_000


def test_a_replay_is_killed_and_resumed_and_swapped_while_posts_go_on(installation: Installation) -> None:
    ingress = installation.start_ingress()
    installation.sql("ALTER TABLE orders ADD CONSTRAINT not_mallory CHECK (name <> 'Mallory')")
    installation.sql("CREATE INDEX by_user ON orders (user_id)")
    installation.sql("CREATE VIEW names AS SELECT order_id, name FROM orders")
    consumers = [installation.start_consumer() for _ in range(2)]
    token = installation.add_partner("live")
    write(installation, history(EVENTS, ORDERS, seed=1))
    ask_again_with_another_body(ingress, token)
    refuse_and_redrive(installation)
    installation.wait_until_answered()

    with posting(ingress, token, pause_s=0.05) as sums:
        # At this rate it has seconds left when it is killed, however late that is seen.
        killed = installation.start("replay", program=_program("replay", "--rate", "2500", "--workers", "2"))
        eventually(lambda: replayed(installation) > EVENTS * 0.3)
        killed.kill()
        stands = replayed(installation)
        done = orders("replay", "--json", env=installation.environment)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["differences"] == 0
        assert 0 < stands < EVENTS
        assert told["events"] <= replayed(installation) - stands  # it resumed from there
        assert told["orders"] > ORDERS
        before = sessions(installation)
        swapped = orders("replay", "--swap", "--yes", "--json", env=installation.environment)
        assert swapped.returncode == 0, swapped.stderr
        assert json.loads(swapped.stdout)["consumers_waited_s"] > 0
        posted = sums["posted"]
        eventually(lambda: sums["posted"] > posted + 200)
    installation.wait_until_answered()
    assert sessions(installation) == before  # no consumer had to connect again
    assert all(consumer.exit_code is None for consumer in consumers)
    assert sums["inserted"] + sums["updated"] + sums["skipped"] == sums["posted"]
    assert sums["inserted"] == len([key for key in installation.rows("live") if key.startswith("L-")])
    assert {key for key in installation.rows("live") if key.startswith("K-")} == {f"K-{key}-1" for key in range(3)}
    assert installation.sql("SELECT to_regnamespace('orders_replay')::text AS s") == [{"s": None}]
    assert names_of(installation, "public.orders") == names_of(installation, "orders_replaced.orders")
    assert installation.sql("SELECT (SELECT count(*) FROM names) = (SELECT count(*) FROM orders) AS same") == [
        {"same": True}
    ]
    # the new table is what the topic says, after the swap as before it
    again = orders("replay", "--json", env=installation.environment)
    assert (again.returncode, json.loads(again.stdout)["differences"]) == (0, 0), again.stderr


def ask_again_with_another_body(ingress: Ingress, token: str) -> None:
    """Only the dead letters show which of two bodies owns the key."""
    with closing(Connection(ingress.port)) as connection:
        for key in range(3):
            headers = {"token": token, "Idempotency-Key": f"key-{key}"}
            orders_of = [an_order(f"K-{key}-1", name="A")], [an_order(f"K-{key}-2", name="B")]
            bodies = [json.dumps({"data": data}).encode() for data in orders_of]
            statuses = [connection.request("POST", ORDERS_PATH, body, headers).status for body in (*bodies, bodies[0])]
            assert statuses == [200, 422, 200]


def refuse_and_redrive(installation: Installation) -> None:
    """No offset shows this: the table refused orders, and they were redriven when it took them."""
    for name, numbers in (("Eve", range(4)), ("Mallory", range(8)), ("Eve", range(0, 8, 2))):
        installation.wait_until_answered()
        installation.produce([event(an_order(f"R-{n}", name=name)) for n in numbers])
    home = partition_of(b"strayed", 12)
    installation.produce([event(an_order("strayed"), partition=(home + n) % 12) for n in (1, 2)])
    installation.wait_until_answered()
    installation.sql("ALTER TABLE orders DROP CONSTRAINT not_mallory")
    done = orders("dlq", "redrive", "--partner", "redriven", "--yes", env=installation.environment)
    assert done.returncode == 0, done.stderr
    installation.wait_until_answered()
    names = {key: row["name"] for key, row in installation.rows("redriven").items()}
    assert names == {
        **{f"R-{n}": "Mallory" if n % 2 else "Eve" for n in range(8)},
        "strayed": "Ada",
    }
    installation.sql("ALTER TABLE orders ADD CONSTRAINT not_mallory CHECK (name <> 'Mallory') NOT VALID")


def event(order: dict[str, Any], partner: str = "redriven", **changes: Any) -> dict[str, Any]:
    return {"key": order["order_id"], "value": json.dumps(order), "headers": headers_of(partner), **changes}


def _program(*arguments: str) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "deploy", *arguments]


def replayed(installation: Installation) -> int:
    """How many offsets a replay has done."""
    if installation.sql("SELECT to_regclass('orders_replay.consumer_partition') AS t") == [{"t": None}]:
        return 0
    return int(installation.sql("SELECT sum(next_offset) AS n FROM orders_replay.consumer_partition")[0]["n"])


def sessions(installation: Installation) -> set[int]:
    """The backends of the consumers."""
    rows = installation.sql(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'order-upsert consumer' "
        "AND datname = current_database()"
    )
    return {row["pid"] for row in rows}


def names_of(installation: Installation, table: str) -> list[dict[str, Any]]:
    """Constraints and indexes."""
    return installation.sql(
        "SELECT conname::text AS name, replace(pg_get_constraintdef(oid), 'NOT VALID', '') AS what FROM pg_constraint "
        "WHERE conrelid = %s::regclass UNION SELECT relname, '' FROM pg_class JOIN pg_index ON indexrelid = oid "
        "WHERE indrelid = %s::regclass ORDER BY 1, 2",
        table,
        table,
    )


@pytest.fixture
def applied(installation: Installation) -> Installation:
    """A consumer has applied 30 orders in two versions each, and has stopped."""
    consumer: Child = installation.start_consumer()
    for name in ("A", "B"):
        installation.produce([event(an_order(f"O-{n}", name=name), "p") for n in range(30)])
        installation.wait_until_answered()
    consumer.stop()
    return installation


def replay(installation: Installation, *arguments: str, answer: str = "", **changes: str) -> Done:
    return orders_here("replay", *arguments, env={**installation.environment, **changes}, answer=answer)


def test_what_differs_is_shown_and_a_swap_mends_it(applied: Installation) -> None:
    done = replay(applied)
    assert done.returncode == 0
    assert "30 orders were compared, of which the live table has 30: none differ. 60 events" in done.stdout
    applied.sql("UPDATE orders SET name = 'tampered', total_qty = NULL WHERE order_id = 'O-1'")
    applied.sql("DELETE FROM orders WHERE order_id = 'O-2'")
    applied.sql(
        'INSERT INTO orders SELECT (jsonb_populate_record(o, \'{"order_id": "ghost"}\')).* FROM orders o LIMIT 1'
    )
    rows = applied.rows("p")
    found = replay(applied, "--verify")
    assert found.returncode == 1
    for text in ("3 differ", "O-1", "O-2", "ghost", '"tampered"', '"B"', "total_qty", "(the whole row)"):
        assert text in found.stdout, text
    assert "name" in found.stdout
    described = json.loads(replay(applied, "--verify", "--json").stdout)
    assert [difference["order"] for difference in described["shown"]] != []
    assert [described[name] for name in ("differences", "orders", "live_orders")] == [3, 31, 30]
    assert applied.rows("p") == rows

    assert replay(applied, "--swap", answer="n\n").returncode == 1
    assert applied.rows("p") == rows
    plan = replay(applied, "--swap", "--dry-run").stdout
    assert "continue in the schema orders_replay. The topic has 60 applied events." in plan
    assert replay(applied, "--swap", answer="y\n").returncode == 0
    mended = applied.rows("p")
    assert mended.keys() == {f"O-{n}" for n in range(30)}
    assert {row["name"] for row in mended.values()} == {"B"}
    assert replay(applied).returncode == 0
    assert replay(applied, "--drop", answer="y\n").returncode == 0
    again = replay(applied, "--drop", "--yes")
    assert (again.returncode, "There is no schema orders_replay." in again.stderr) == (1, True)
    nothing = replay(applied, "--verify")
    assert (nothing.returncode, "There is no replay to compare with" in nothing.stderr) == (1, True)


def test_what_changed_since_a_replay_is_not_a_difference(applied: Installation) -> None:
    assert replay(applied).returncode == 0
    applied.start_consumer()
    applied.produce([event(an_order("O-1", name="C"), "p"), event(an_order("new"), "p")])
    applied.wait_until_answered()
    told = json.loads(replay(applied, "--verify", "--json").stdout)
    assert (told["differences"], told["orders"], told["left_out"]) == (0, 29, 2)


def test_a_table_as_it_was_at_a_moment_is_a_place_to_begin_too(applied: Installation) -> None:
    moment = applied.sql("SELECT max(event_time) AS t FROM orders")[0]["t"]
    first = min(row["event_time"] for row in applied.rows("p").values())
    told = json.loads(replay(applied, "--until", first.isoformat(), "--json").stdout)
    assert told["events"] == 30
    names = applied.sql(f"SELECT DISTINCT name FROM {told['schema']}.orders")
    assert names == [{"name": "A"}]
    assert replay(applied, "--until", first.isoformat(), "--json").returncode == 0  # again: there is nothing left to do
    later = json.loads(replay(applied, "--until", "0s", "--json", "--rate", "1000").stdout)
    assert later["events"] == 60
    assert moment >= first
    done = json.loads(replay(applied, "--from", told["schema"], "--json").stdout)
    assert (done["events"], done["differences"]) == (30, 0)
    wrong = replay(applied, "--fresh", "--yes", "--from", "public")
    assert (wrong.returncode, wrong.stderr) == (0, ""), wrong.stderr
    nowhere = replay(applied, "--fresh", "--yes", "--from", "no_such")
    assert (nowhere.returncode, "no_such is not a snapshot" in nowhere.stderr) == (1, True)
    assert replay(applied, "--swap", "--until", "1h").returncode == 1
    early = replay(applied, "--until", "9999d")
    assert (early.returncode, "No event is from before" in early.stderr) == (1, True)
    kept = [json.loads(line) for line in replay(applied, "list", "--json").stdout.splitlines()]
    assert {told["schema"], later["schema"]} <= {item["schema"] for item in kept}
    assert all(item["size_bytes"] > 0 and item["made"] for item in kept)
    assert told["schema"] in replay(applied, "list").stdout
    applied.sql(f"CREATE VIEW theirs AS SELECT * FROM {told['schema']}.orders")
    refused = replay(applied, "--drop", "--yes", "--until", first.isoformat())
    assert (refused.returncode, "view theirs depends on table" in refused.stderr) == (1, True), refused.stderr
    assert applied.sql("SELECT count(*) AS n FROM theirs") == [{"n": 30}]
    applied.sql("DROP VIEW theirs")
    assert replay(applied, "--drop", "--yes", "--from", told["schema"]).returncode == 0
    assert told["schema"] not in replay(applied, "list").stdout


def test_a_swap_drops_nothing_that_somebody_built_on_the_replaced_table(applied: Installation) -> None:
    assert replay(applied, "--swap", "--yes").returncode == 0
    listed = json.loads(replay(applied, "list", "--json").stdout)
    assert (listed["schema"], listed["made"] is None) == ("orders_replaced", False)
    applied.sql("CREATE MATERIALIZED VIEW old_names AS SELECT name FROM orders_replaced.orders")
    applied.sql("CREATE TABLE orders_replaced.notes (text text)")
    for arguments in (["--swap", "--dry-run"], ["--swap", "--yes"]):
        refused = replay(applied, *arguments)
        assert (refused.returncode, "materialized view old_names" in refused.stderr) == (1, True), refused.stderr
        assert applied.sql("SELECT to_regnamespace('orders_replay')::text AS s") == [{"s": None}]
    applied.sql("DROP MATERIALIZED VIEW old_names")
    inside = replay(applied, "--swap", "--yes")
    assert (inside.returncode, "table orders_replaced.notes" in inside.stderr) == (1, True), inside.stderr
    applied.sql("DROP TABLE orders_replaced.notes")
    assert replay(applied, "--swap", "--yes").returncode == 0


def test_what_hangs_on_the_table_is_carried_over_or_named_before_anything_is_done(applied: Installation) -> None:
    role = f"reader_{applied.prefix}"
    applied.sql(f"CREATE ROLE {role}; GRANT SELECT ON orders TO {role}; GRANT UPDATE ON orders TO PUBLIC")
    applied.sql("CREATE VIEW names WITH (security_barrier) AS SELECT order_id, name FROM orders WHERE name <> ''")
    applied.sql("CREATE VIEW over_names AS SELECT * FROM names")
    applied.sql("CREATE TABLE seen (order_id text)")
    applied.sql(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO seen VALUES (new.order_id); RETURN NULL; END'"
    )
    applied.sql("CREATE TRIGGER noted AFTER INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION note()")
    applied.sql("ALTER TABLE orders ADD CONSTRAINT named CHECK (name <> 'x'), ADD UNIQUE (order_id)")
    applied.sql("CREATE INDEX by_name ON orders (lower(name)) WHERE discount = 0")
    rights = "SELECT relacl::text FROM pg_class WHERE oid = 'orders'::regclass"
    before = applied.sql(rights), names_of(applied, "public.orders")
    applied.sql("CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM orders")
    refused = replay(applied, "--swap", "--yes")
    assert refused.returncode == 1
    assert "materialized view public.counted" in refused.stderr
    assert applied.sql("SELECT to_regnamespace('orders_replay')::text AS s") == [{"s": None}]
    applied.sql("DROP MATERIALIZED VIEW counted")
    done = replay(applied, "--swap", "--yes")
    assert done.returncode == 0, done.stderr
    assert (applied.sql(rights), names_of(applied, "public.orders")) == before
    assert applied.sql("SELECT * FROM seen") == []  # a replay fires no trigger
    applied.sql("UPDATE orders SET name = 'Z' WHERE order_id = 'O-1'")
    assert applied.sql("SELECT name FROM over_names WHERE order_id = 'O-1'") == [{"name": "Z"}]
    assert applied.sql("SELECT * FROM seen") == [{"order_id": "O-1"}]
    assert applied.sql("SELECT reloptions FROM pg_class WHERE relname = 'names'") == [
        {"reloptions": ["security_barrier=true"]}
    ]
    applied.sql(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_swap_that_cannot_get_its_locks_leaves_everything(applied: Installation) -> None:
    with psycopg.connect(applied.postgres_url, application_name="a report") as reader:
        reader.execute("SELECT FROM orders")  # and keeps its lock
        stuck = replay(applied, "--swap", "--yes", "--lock-wait-s", "1")
    assert stuck.returncode == 1
    assert "could not be swapped within 1 s" in stuck.stderr
    assert "(a report), idle in transaction, since 2" in stuck.stderr
    assert len(applied.rows("p")) == 30
    with rebuild.Rebuild(applied.consumer_settings(), "orders_replay", 1, None, lambda *_: lambda _: None).alone():
        second = replay(applied)
    assert (second.returncode, "Another replay is filling the schema" in second.stderr) == (1, True)


def test_a_wrong_topic_or_database_is_reported(
    applied: Installation, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, topic = applied.rows("p"), applied.settings.topics.upserts
    wrong = replay(applied, ORDERS_POSTGRES_URL=postgres_url)
    assert (wrong.returncode, "This database has no order tables" in wrong.stderr) == (1, True)
    missing = replay(applied, ORDERS_POSTGRES_URL=applied.postgres_url + "x")
    assert (missing.returncode, "Create the database" in missing.stderr) == (1, True)
    unknown = replay(applied, ORDERS_TOPIC_PREFIX="never-made")
    assert (unknown.returncode, "does not exist" in unknown.stderr) == (1, True)

    admin = AdminClient({"bootstrap.servers": applied.bootstrap})
    partition = partition_of(b"O-1", 12)
    where = TopicPartition(topic, partition, 1)
    admin.delete_records([where])[where].result()
    truncated = replay(applied)
    assert truncated.returncode == 1
    assert f"begin at {{{partition}: 1}}" in truncated.stderr
    assert "retention.ms" in truncated.stderr
    assert "The live tables are unchanged." in truncated.stderr

    applied.sql("UPDATE consumer_partition SET next_offset = 1000 WHERE partition = %s", partition)
    short = replay(applied, "--fresh", "--yes", "--from", "public")
    assert (short.returncode, "lacks events that the live tables have" in short.stderr) == (1, True)

    admin.delete_topics([topic])[topic].result()
    eventually(lambda: topic not in admin.list_topics(timeout=HANG_S).topics)
    applied.set_up()
    anew = replay(applied)
    assert anew.returncode == 1
    assert "it was deleted and created again" in anew.stderr
    assert applied.rows("p") == rows


def test_a_replay_that_is_ahead_of_a_restored_table_must_begin_again(applied: Installation) -> None:
    assert replay(applied).returncode == 0
    applied.sql("UPDATE consumer_partition SET next_offset = 0")
    ahead = replay(applied)
    assert (ahead.returncode, "orders replay --fresh" in ahead.stderr) == (1, True)
