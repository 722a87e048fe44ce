"""What a swap cannot carry over is named before anything is done, and nothing of somebody else's is dropped."""

from collections.abc import Callable
from secrets import token_hex
from typing import Any

import psycopg
import pytest

from consumer.errors import ConsumerStoppedError
from consumer.replay.dependents import dependents
from support.swapping import replay_copies, swap_copies, swap_made

Sql = Callable[..., list[dict[str, Any]]]

LOST = {
    "materialized view {t}_counted": "CREATE MATERIALIZED VIEW {t}_counted AS SELECT count(*) FROM {t}",
    "function {t}_atomic()": "CREATE FUNCTION {t}_atomic() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM {t}; END",
    "function {t}_rows()": "CREATE FUNCTION {t}_rows() RETURNS SETOF {t} LANGUAGE sql AS 'TABLE {t}'",
    "function {t}_loud({t})": "CREATE FUNCTION {t}_loud({t}) RETURNS text LANGUAGE sql AS 'SELECT upper($1.order_id)'",
    "column whole of table {t}_archive": "CREATE TABLE {t}_archive (whole {t})",
    "column all_of_them of table {t}_archives": "CREATE TABLE {t}_archives (all_of_them {t}[])",
    "column o of view {t}_whole": "CREATE VIEW {t}_whole AS SELECT o FROM {t} AS o",
    "type {t}_domain": "CREATE DOMAIN {t}_domain AS {t}",
    "constraint of_order on table {t}_line": "CREATE TABLE {t}_line (p text, o text, CONSTRAINT of_order "
    "FOREIGN KEY (p, o) REFERENCES {t})",
    "policy {t}_if_ordered on table country": "CREATE POLICY {t}_if_ordered ON country USING (EXISTS (TABLE {t}))",
    "inheritance of {t}_old from {t}": "CREATE TABLE {t}_old () INHERITS ({t})",
    "trigger t on table {t}_other": "CREATE TABLE {t}_other (); CREATE FUNCTION {t}_f() RETURNS trigger "
    "LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE CONSTRAINT TRIGGER t AFTER INSERT ON {t}_other FROM {t} "
    "FOR EACH ROW EXECUTE FUNCTION {t}_f()",
    "subscription of {t}": "SET allow_system_table_mods = on; INSERT INTO pg_subscription_rel (srsubid, srrelid, "
    "srsubstate) VALUES (1, '{t}'::regclass, 'r')",
    "membership of the extension plpgsql": "ALTER EXTENSION plpgsql ADD TABLE {t}",
}
ONCE = {
    "publication all_of_it FOR TABLES IN SCHEMA public": "CREATE PUBLICATION all_of_it FOR TABLES IN SCHEMA public",
    "the type letter (of order_letter)": 'CREATE TYPE letter AS (partner_id text COLLATE "C", '
    'order_id text COLLATE "C", event_offset bigint); ALTER TABLE order_letter OF letter',
}


def named_by(connection: psycopg.Connection[Any]) -> list[str]:
    with pytest.raises(ConsumerStoppedError) as caught, connection.transaction():
        dependents(connection)
    return [line.strip().replace("public.", "") for line in str(caught.value).splitlines()[1:-1]]


def test_what_would_stay_with_the_old_tables_is_named(database: str, sql: Sql) -> None:
    sql("CREATE TABLE country (id int PRIMARY KEY)")
    with psycopg.connect(database, autocommit=True) as connection:
        with connection.transaction():
            dependents(connection)
        expected = [(name, "") for name in ONCE]
        for statement in ONCE.values():
            sql(statement)
        for table, of_table in (("orders", ""), ("order_letter", " (of order_letter)")):
            for name, statement in LOST.items():
                sql(statement.format(t=table))
                expected.append((name.format(t=table), of_table))
        named = named_by(connection)
    for name, of_table in expected:
        assert any(line.startswith(name) and line.endswith(of_table) for line in named), (name, named)


def test_what_belongs_to_another_role_is_named(database: str, sql: Sql) -> None:
    role = f"limited_{token_hex(4)}"
    sql("CREATE VIEW names AS SELECT name FROM orders; CREATE STATISTICS together ON name, phone FROM orders")
    sql("CREATE PUBLICATION theirs FOR TABLE orders; CREATE TABLE elsewhere ()")
    sql("CREATE RULE counted AS ON INSERT TO elsewhere DO ALSO UPDATE orders SET name = 'x'")
    sql(f"CREATE ROLE {role}; CREATE ROLE {role}_2; GRANT SELECT ON orders TO {role}_2 WITH GRANT OPTION")
    sql(f"SET ROLE {role}_2; GRANT SELECT ON orders TO {role}; RESET ROLE; GRANT CREATE ON SCHEMA public TO {role}")
    try:
        with psycopg.connect(database, autocommit=True) as connection:
            with connection.transaction():
                dependents(connection)  # a superuser may do everything
            connection.execute(f"SET ROLE {role}".encode())
            named = named_by(connection)
        for thing in (
            "the table itself, which belongs",
            "view names, which belongs",
            "statistics together, which belong",
            "publication theirs, which belongs",
            "rule counted on table elsewhere, which belongs",
            f"a right that the role {role}_2 gave",
        ):
            assert any(line.startswith(thing) for line in named), (thing, named)
    finally:
        sql(f"DROP OWNED BY {role}, {role}_2 CASCADE; DROP ROLE {role}, {role}_2")


BUILT_ON_REPLACED = {
    "view old_names": "CREATE VIEW old_names AS SELECT name FROM orders_replaced.orders",
    "materialized view old_count": "CREATE MATERIALIZED VIEW old_count AS SELECT count(*) FROM orders_replaced.orders",
    "constraint c on table old_lines": "CREATE TABLE old_lines (p text, o text, CONSTRAINT c FOREIGN KEY (p, o) "
    "REFERENCES orders_replaced.orders)",
    "function old_rows()": "CREATE FUNCTION old_rows() RETURNS SETOF orders_replaced.orders LANGUAGE sql "
    "AS 'TABLE orders_replaced.orders'",
    "table orders_replaced.notes": "CREATE TABLE orders_replaced.notes ()",
    "table orders_replaced.request_part": "CREATE TABLE orders_replaced.request_part AS TABLE request_part",
    "function orders_replaced.f()": "CREATE FUNCTION orders_replaced.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "view old_letters": "CREATE VIEW old_letters AS SELECT order_id FROM orders_replaced.order_letter",
    "table old_child": "CREATE TABLE old_child () INHERITS (orders_replaced.orders)",
}


def test_nothing_that_somebody_built_on_the_replaced_tables_is_dropped(database: str, sql: Sql) -> None:
    sql("INSERT INTO source_topic (topic, topic_id) VALUES ('orders.upserts', 'x')")
    swap_copies(database)
    replay_copies(database)
    for name, statement in BUILT_ON_REPLACED.items():
        sql(statement)
        with pytest.raises(ConsumerStoppedError, match=r"cannot be removed, because it has what is not ours") as caught:
            swap_made(database)
        assert name in str(caught.value)
        kind = name.split()[0]
        if kind == "constraint":
            sql("DROP TABLE old_lines")
        else:
            sql(f"DROP {name}")  # so it is still there
    swap_made(database)


def test_an_event_trigger_of_a_shop_s_that_refuses_leaves_all_as_it_is(database: str, sql: Sql) -> None:
    sql("INSERT INTO source_topic (topic, topic_id) VALUES ('orders.upserts', 'x')")
    replay_copies(database)
    sql(
        "CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'Ask the DBA first'; END $$; "
        "CREATE EVENT TRIGGER no ON ddl_command_start WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION no()"
    )
    tables = sql("SELECT oid::regclass::text, oid FROM pg_class WHERE relname = 'orders' ORDER BY 2")
    with pytest.raises(ConsumerStoppedError, match=r"P0001 raised .*function public\.no"):
        swap_made(database)
    assert sql("SELECT oid::regclass::text, oid FROM pg_class WHERE relname = 'orders' ORDER BY 2") == tables
    sql("DROP EVENT TRIGGER no")
    swap_made(database)
