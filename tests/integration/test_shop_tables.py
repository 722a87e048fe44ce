"""The tables belong to a shop: what it may add to them, and what becomes of an order that its rules refuse.

Each of its changes is tried with batches of every way into the table: one statement for a few rows, COPY for many.
"""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from secrets import token_hex
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from consumer.applier import Applier
from consumer.core.batch import Batch
from consumer.core.decode import decode
from consumer.core.record import Event, Rejected
from consumer.core.replies import Reply
from consumer.errors import (
    ConsumerStoppedError,
    PlanLostError,
    RetryLaterError,
    TablesAtFaultError,
    TooMuchAtOnceError,
)
from consumer.postgres.ledger_reader import CONNECTIONS_MAX, PostgresLedgerReader
from consumer.postgres.session import SessionHolder
from consumer.refusals import IN_A_ROW_MAX
from contracts.event import RequestKey
from contracts.partitioner import partition_of
from support.events import REPLY_TO, record
from support.orders import an_order
from support.private_logs import PASSWORD
from support.swapping import swap_copies
from support.waiting import eventually

SIZES = 1, 100, 500
BAD = "a bad order, with a long name"
Sql = Callable[..., list[dict[str, Any]]]


class Shop:
    """A consumer's applier on a database that a shop changes. `post` gives its replies' outcomes, added up."""

    def __init__(self, url: str, connection: psycopg.Connection[dict[str, Any]]) -> None:
        self.holder = SessionHolder(url, 7)
        self.buried: list[Rejected] = []
        self.now_s = 0.0
        self.restart()
        self.connection = connection
        self.ends: dict[int, int] = defaultdict(int)
        self.requests = 0

    def restart(self) -> None:
        """Another consumer, which knows nothing."""
        self.applier = Applier(self.holder, self.buried.extend, clock_s=lambda: self.now_s)

    def sql(self, statement: str, *parameters: Any) -> list[dict[str, Any]]:
        cursor = self.connection.execute(statement.encode(), parameters)
        return cursor.fetchall() if cursor.description else []

    def batch(self, names: list[str], *, first: int = 0, one_request: bool = True, digest: str | None = None) -> Batch:
        """An event for each name, of the orders O-first and so on."""
        starts: dict[int, int] = {}
        events = []
        for number, name in enumerate(names):
            if not one_request or number == 0:
                self.requests += 1
            order = an_order(f"O-{first + number}", name=name)
            partition = partition_of(order["order_id"].encode(), 12)
            starts.setdefault(partition, self.ends[partition])
            about: dict[str, Any] = {"request": self.requests, "index": number, "reply_to": REPLY_TO, "digest": digest}
            events.append(decode(record(order, self.ends[partition], **about)))
            self.ends[partition] += 1
        assert all(isinstance(event, Event) for event in events)
        return Batch.of(events, starts)

    def apply(self, batch: Batch) -> Counter[str]:
        return added(self.applier.apply(batch).replies)

    def apply_as_a_worker(self, batch: Batch) -> tuple[Counter[str], int]:
        """Again if a plan is lost. How often it was, too."""
        for lost in range(3):
            try:
                return self.apply(batch), lost
            except PlanLostError:
                pass
        raise AssertionError("the plan is lost for ever")

    def post(self, names: list[str], **about: Any) -> Counter[str]:
        return self.apply(self.batch(names, **about))

    def names(self) -> Counter[str]:
        return Counter(row["name"] for row in self.sql("SELECT name FROM orders"))


def added(replies: list[Reply]) -> Counter[str]:
    found: Counter[str] = Counter()
    for reply in replies:
        counts = {name: len(indexes) for name, indexes in json.loads(reply.outcomes_json).items()}
        found.update({name: count for name, count in counts.items() if count})
    return found


@pytest.fixture
def shop(database: str) -> Iterator[Shop]:
    with psycopg.connect(database, autocommit=True, row_factory=dict_row) as connection:
        shop = Shop(database, connection)
        yield shop
        shop.holder.close()


def trigger(body: str, when: str = "BEFORE INSERT OR UPDATE", table: str = "orders") -> str:
    return (
        f"CREATE FUNCTION of_the_shop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NEW; END $$;"
        f"CREATE TRIGGER of_the_shop {when} ON {table} FOR EACH ROW EXECUTE FUNCTION of_the_shop();"
    )


def constraint_trigger(body: str) -> str:
    return trigger(body, "AFTER INSERT OR UPDATE").replace(
        "CREATE TRIGGER of_the_shop AFTER INSERT OR UPDATE ON orders",
        "CREATE CONSTRAINT TRIGGER of_the_shop AFTER INSERT OR UPDATE ON orders DEFERRABLE INITIALLY DEFERRED",
    )


ADDED = {
    "a nullable column": ("ALTER TABLE orders ADD COLUMN note text", "note IS NULL"),
    "a column with a default": (
        "ALTER TABLE orders ADD COLUMN exported boolean NOT NULL DEFAULT false",
        "NOT exported",
    ),
    "the time of the row": (
        "ALTER TABLE orders ADD COLUMN made timestamptz NOT NULL DEFAULT now()",
        "made IS NOT NULL",
    ),
    "a default without NOT NULL": ("ALTER TABLE orders ADD COLUMN made date DEFAULT now()", "made IS NOT NULL"),
    "a stored generated column": (
        "ALTER TABLE orders ADD COLUMN upper_name text GENERATED ALWAYS AS (upper(name)) STORED",
        "upper_name = upper(name)",
    ),
    "a virtual generated column": (
        "ALTER TABLE orders ADD COLUMN upper_name text GENERATED ALWAYS AS (upper(name)) VIRTUAL",
        "upper_name = upper(name)",
    ),
    "an identity": ("ALTER TABLE orders ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY UNIQUE", "id > 0"),
    "a serial": ("ALTER TABLE orders ADD COLUMN id bigserial UNIQUE", "id > 0"),
    "an identity by default": ("ALTER TABLE orders ADD COLUMN id int GENERATED BY DEFAULT AS IDENTITY", "id > 0"),
    "a column in between": (
        "ALTER TABLE orders ADD COLUMN gone int; ALTER TABLE orders DROP COLUMN gone; "
        "ALTER TABLE orders ADD COLUMN n int DEFAULT 1",
        "n = 1",
    ),
    "an index": ("CREATE INDEX ON orders (lower(email)); CREATE UNIQUE INDEX ON orders (order_id)", "true"),
    "a check that holds": ("ALTER TABLE orders ADD CHECK (total_amount > 0)", "true"),
    "a trigger that sets a column": (
        "ALTER TABLE orders ADD COLUMN seen text;" + trigger("NEW.seen := TG_OP;"),
        "seen = CASE name WHEN 'new' THEN 'INSERT' ELSE 'UPDATE' END",
    ),
    "a trigger that changes the row": (trigger("NEW.email := upper(NEW.email);"), "email = upper(email)"),
    "an AFTER trigger that writes elsewhere": (
        "CREATE TABLE audit (operation text); "
        + trigger("INSERT INTO audit (operation) VALUES (TG_OP);", "AFTER INSERT OR UPDATE"),
        "(SELECT count(DISTINCT operation) FROM audit) = 2 AND "
        "(SELECT count(*) FROM audit) = 2 * (SELECT count(*) FROM orders)",
    ),
    "a statement trigger": (
        "CREATE TABLE audit (rows bigint); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO audit (rows) SELECT count(*) FROM new_rows; RETURN NULL; END $$; "
        "CREATE TRIGGER t AFTER INSERT ON orders REFERENCING NEW TABLE AS new_rows "
        "FOR EACH STATEMENT EXECUTE FUNCTION f()",
        "(SELECT sum(rows) FROM audit) = (SELECT count(*) FROM orders)",
    ),
    "a foreign key to a table of the shop's": (
        "CREATE TABLE customer (user_id text PRIMARY KEY); INSERT INTO customer VALUES ('u-1'), ('U'), ('u'); "
        "ALTER TABLE orders ADD CONSTRAINT known FOREIGN KEY (user_id) REFERENCES customer NOT VALID; "
        + trigger("INSERT INTO customer VALUES (NEW.user_id) ON CONFLICT DO NOTHING;"),
        "true",
    ),
    "a wider type": ("ALTER TABLE orders ALTER total_amount TYPE numeric, ALTER name TYPE varchar(500)", "true"),
    "columns of the ledger": (
        "ALTER TABLE request_part ADD COLUMN shown boolean NOT NULL DEFAULT false; "
        "ALTER TABLE request_part ADD COLUMN at timestamptz NOT NULL DEFAULT now(); "
        "ALTER TABLE request_part ADD COLUMN size2 int GENERATED ALWAYS AS (request_size * 2) STORED; "
        "ALTER TABLE request_key ADD COLUMN at timestamptz NOT NULL DEFAULT now(); "
        "ALTER TABLE order_letter ADD COLUMN at timestamptz NOT NULL DEFAULT now(); "
        "ALTER TABLE consumer_partition ADD COLUMN at timestamptz NOT NULL DEFAULT now(); "
        "ALTER TABLE source_topic ADD COLUMN at timestamptz NOT NULL DEFAULT now(); "
        "ALTER TABLE schema_migration ADD COLUMN by text NOT NULL DEFAULT current_user",
        "(SELECT bool_and(NOT shown AND at IS NOT NULL AND size2 = 2000) FROM request_part)",
    ),
    "indexes and triggers of the ledger": (
        "CREATE INDEX ON request_part (partner_id, day); CREATE INDEX ON request_key (partner_id); "
        "CREATE TABLE audit (id uuid); "
        + trigger("INSERT INTO audit (id) VALUES (NEW.request_id);", "AFTER INSERT", "request_part"),
        "(SELECT count(*) FROM audit) = (SELECT count(*) FROM request_part)",
    ),
}


@pytest.mark.parametrize("change", ADDED)
def test_what_a_shop_adds_takes_its_own_values(shop: Shop, change: str) -> None:
    statement, holds = ADDED[change]
    shop.sql(statement)
    of_ledger = "ledger" in change
    for size in SIZES:
        about: dict[str, Any] = {"first": 1000 * size, "one_request": not of_ledger}
        assert shop.post(["new"] * size, digest="d" * 32 if of_ledger else None, **about) == {"inserted": size}
        assert shop.post(["changed"] * size, **about) == {"updated": size}
        assert shop.sql(f"SELECT count(*) AS n FROM orders WHERE NOT coalesce({holds}, false)") == [{"n": 0}]
        if size > 1:  # of both kinds in one batch
            about["first"] += size // 2
            assert shop.post(["mixed"] * size, **about) == {"updated": size - size // 2, "inserted": size // 2}
            shop.sql(
                "DELETE FROM orders; DELETE FROM request_part; DELETE FROM audit"
                if "audit" in statement
                else "DELETE FROM orders"
            )
    assert shop.buried == []


@pytest.mark.parametrize("change", ["a nullable column", "an identity", "a stored generated column"])
def test_a_shop_may_add_to_the_tables_under_a_running_consumer(shop: Shop, change: str) -> None:
    for _ in range(7):  # the statements are prepared by then
        for size in SIZES:
            shop.post(["before"] * size)
    shop.sql(ADDED[change][0])
    for size in SIZES:
        assert shop.post([f"after {size}"] * size) == {"updated": size}
        assert shop.post(["new"] * size, first=1000 * size) == {"inserted": size}
    assert shop.buried == []


RAISE = f"IF NEW.name = '{BAD}' THEN RAISE EXCEPTION 'refused' USING ERRCODE = '%s'; END IF;"
ONLY_GOOD = f"CASE name WHEN '{BAD}' THEN 0 ELSE 1 END"
REFUSED = {
    "a check": (f"ALTER TABLE orders ADD CHECK (name <> '{BAD}')", "23514"),
    "a check, not validated": (f"ALTER TABLE orders ADD CONSTRAINT c CHECK (name <> '{BAD}') NOT VALID", "23514"),
    "a unique index": (
        f"CREATE UNIQUE INDEX one ON orders (name) WHERE name = '{BAD}'; INSERT INTO orders SELECT 'other', order_id, "
        f"'{BAD}', phone, address, email, refferral_code, user_id, products, total_amount, discount, total_qty, "
        "content_hash, event_partition, event_offset, event_time FROM orders LIMIT 1",
        "23505",
    ),
    "a foreign key": (
        "CREATE TABLE known (name text PRIMARY KEY); INSERT INTO known VALUES ('before'), ('good'); "
        "ALTER TABLE orders ADD FOREIGN KEY (name) REFERENCES known",
        "23503",
    ),
    "a foreign key, deferred": (
        "CREATE TABLE known (name text PRIMARY KEY); INSERT INTO known VALUES ('before'), ('good'); "
        "ALTER TABLE orders ADD FOREIGN KEY (name) REFERENCES known DEFERRABLE INITIALLY DEFERRED",
        "23503",
    ),
    "a narrower type": ("ALTER TABLE orders ALTER name TYPE varchar(10)", "22001"),
    "a generated column": (f"ALTER TABLE orders ADD one int GENERATED ALWAYS AS (1 / ({ONLY_GOOD})) STORED", "22012"),
    "an index over an expression": (f"CREATE INDEX ON orders ((1 / ({ONLY_GOOD})))", "22012"),
    "RAISE": (trigger(RAISE % "P0001"), "P0001"),
    "RAISE afterwards": (trigger(RAISE % "P0001", "AFTER INSERT OR UPDATE"), "P0001"),
    "RAISE at the commit": (constraint_trigger(RAISE % "P0001"), "P0001"),
    "RAISE of a code that is made up": (trigger(RAISE % "QQ123"), "QQ123"),
    "RAISE of an outage's code": (trigger(RAISE % "57014"), "57014"),
    "RAISE of a serialization failure": (trigger(RAISE % "40001"), "40001"),
    "RAISE of a full disk": (trigger(RAISE % "53100"), "53100"),
    "a function that asks a session for what it has not": (
        "CREATE SEQUENCE s;" + trigger(f"IF NEW.name = '{BAD}' THEN PERFORM currval('s'); END IF;"),
        "55000",
    ),
    "a function that changes its own table": (
        trigger(f"IF NEW.name = '{BAD}' THEN ALTER TABLE orders ALTER name SET STATISTICS 5; END IF;"),
        "55006",
    ),
    "RAISE of a stopping code": (trigger(RAISE % "42501"), "42501"),
    "RAISE of a check's code": (trigger(RAISE % "23514"), "23514"),
    "RAISE of the order": (trigger(f"IF NEW.name = '{BAD}' THEN RAISE '%% is bad', NEW.name; END IF;"), "P0001"),
    "a cast of the order's text": (trigger(f"IF NEW.name = '{BAD}' THEN PERFORM NEW.name::int; END IF;"), "22P02"),
    "a statement with the order's text": (
        trigger(f"IF NEW.name = '{BAD}' THEN EXECUTE format('TABLE %%I', NEW.name); END IF;"),
        "42P01",
    ),
    "ASSERT": (trigger(f"ASSERT NEW.name <> '{BAD}', 'refused';"), "P0004"),
    "a function that is broken for this order": (
        trigger(f"IF NEW.name = '{BAD}' THEN PERFORM missing FROM nowhere; END IF;"),
        "42P01",
    ),
    "a function without RETURN": (
        trigger(f"IF NEW.name <> '{BAD}' THEN RETURN NEW; END IF; END; $$; --").split(" RETURN NEW; END $$", 1)[0]
        + "\n"
        + "CREATE TRIGGER t BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION of_the_shop();",
        "2F005",
    ),
    "a trigger that gives NULL": (trigger(f"IF NEW.name = '{BAD}' THEN RETURN NULL; END IF;"), "returned NULL"),
    "a trigger for the statement": (
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF EXISTS (SELECT FROM new_rows WHERE name = '{BAD}') THEN RAISE 'refused'; END IF; RETURN NULL; END $$;"
        + "".join(
            f"CREATE TRIGGER {event} AFTER {event} ON orders REFERENCING NEW TABLE AS new_rows "
            "FOR EACH STATEMENT EXECUTE FUNCTION f();"
            for event in ("INSERT", "UPDATE")
        ),
        "P0001",
    ),
}


@pytest.mark.parametrize("rule", REFUSED)
def test_one_order_that_the_shop_refuses_is_one_letter(shop: Shop, rule: str) -> None:
    statement, code = REFUSED[rule]
    for size in SIZES:
        shop.post(["before"] * size, first=1000 * size)
    shop.sql(statement)
    for size in SIZES:
        for kind, first in (("inserted", 10_000 * size), ("updated", 1000 * size)):
            shop.buried.clear()
            names = ["good"] * (size // 2) + [BAD] + ["good"] * (size - size // 2 - 1)
            batch = shop.batch(names, first=first)
            good = shop.names()["good"]
            found = shop.apply(batch)
            assert found == ({"invalid": 1, kind: size - 1} if size > 1 else {"invalid": 1})
            assert [item.index for item in shop.buried] == [size // 2]
            assert code in shop.buried[0].reason
            assert BAD not in shop.buried[0].reason
            assert shop.names()["good"] - good == size - 1
            assert shop.apply(batch) == found  # what was decided is decided
            assert len(shop.buried) == 1


@pytest.mark.parametrize("table", ["request_part", "request_key"])
@pytest.mark.parametrize("rule", ["check", "raise", "null"])
def test_a_request_that_the_shop_refuses_in_the_ledger_is_one_letter(shop: Shop, table: str, rule: str) -> None:
    shop.post(["before"])
    bad = [UUID(int=1 + sum(SIZES[:place]) + size // 2 + 1) for place, size in enumerate(SIZES)]
    is_bad = f"NEW.request_id IN ({', '.join(map(repr, map(str, bad)))})"
    shop.sql(
        {
            "check": f"ALTER TABLE {table} ADD CHECK (NOT {is_bad.replace('NEW.', '')})",
            "raise": trigger(f"IF {is_bad} THEN RAISE 'no'; END IF;", "BEFORE INSERT", table),
            "null": trigger(f"IF {is_bad} THEN RETURN NULL; END IF;", "BEFORE INSERT", table),
        }[rule]
    )
    for size in SIZES:
        shop.buried.clear()
        good = shop.names()["good"]
        found = shop.post(["good"] * size, first=1000 * size, one_request=False, digest="d" * 32)
        assert found == ({"invalid": 1, "inserted": size - 1} if size > 1 else {"invalid": 1})
        assert [item.context.request_id for item in shop.buried if item.context] == [bad[SIZES.index(size)]]
        assert shop.names()["good"] - good == size - 1
    assert sum(row["next_offset"] for row in shop.sql("SELECT * FROM consumer_partition")) == 1 + sum(SIZES)


EVERYTHING = {
    "a check": "ALTER TABLE orders ADD CONSTRAINT of_the_shop CHECK (name = 'before') NOT VALID",
    "RAISE": trigger("RAISE 'closed';"),
    "RAISE afterwards": trigger("RAISE 'closed';", "AFTER INSERT OR UPDATE"),
    "RAISE at the commit": constraint_trigger("RAISE 'closed';"),
    "a foreign key": "CREATE TABLE customer (name text PRIMARY KEY); "
    "ALTER TABLE orders ADD CONSTRAINT of_the_shop FOREIGN KEY (name) REFERENCES customer NOT VALID",
    "a foreign key, deferred": "CREATE TABLE customer (name text PRIMARY KEY); ALTER TABLE orders ADD CONSTRAINT "
    "of_the_shop FOREIGN KEY (name) REFERENCES customer DEFERRABLE INITIALLY DEFERRED NOT VALID",
    "NULL": trigger("RETURN NULL;"),
    "NOT NULL": "ALTER TABLE orders ADD COLUMN of_the_shop int; UPDATE orders SET of_the_shop = 1; "
    "ALTER TABLE orders ALTER of_the_shop SET NOT NULL",
    "a broken function": trigger("PERFORM missing FROM nowhere;"),
    "a broken function of the ledger": trigger("PERFORM missing FROM nowhere;", "BEFORE INSERT", "request_part"),
    "the ledger": trigger("RAISE 'closed';", "BEFORE INSERT", "request_part"),
    "the fence": trigger("RAISE 'closed';", "BEFORE UPDATE", "consumer_partition"),
}
SEEN_BY_COUNT = "a check", "NULL", "the ledger", "a broken function of the ledger"
"""Rows that are there do not show it: they fit the check, nobody counts what a probe writes, or it is another table."""
MENDED = (
    "DROP TRIGGER IF EXISTS of_the_shop ON orders; ALTER TABLE orders DROP CONSTRAINT IF EXISTS of_the_shop; "
    "ALTER TABLE orders DROP COLUMN IF EXISTS of_the_shop; "
    "DROP FUNCTION IF EXISTS of_the_shop CASCADE"
)


@pytest.mark.parametrize(
    ("rule", "before"), [*((rule, 3) for rule in EVERYTHING), ("RAISE afterwards", 0), ("the ledger", 0)]
)
def test_tables_that_refuse_everything_wait_to_be_mended(shop: Shop, rule: str, before: int) -> None:
    if before:
        shop.post(["before"] * before, first=10_000)
    shop.sql(EVERYTHING[rule])
    batch = shop.batch(["good"] * (IN_A_ROW_MAX + 30), one_request=False)
    for _ in range(2):
        with pytest.raises(TablesAtFaultError) as caught:
            shop.apply(batch)
        shop.now_s += 2
    assert "\n" not in str(caught.value)
    assert len(shop.buried) <= (IN_A_ROW_MAX if rule in SEEN_BY_COUNT or not before else 0)
    shop.sql(MENDED)
    assert shop.apply(batch).keys() <= {"inserted", "invalid"}
    assert shop.names()["good"] == IN_A_ROW_MAX + 30 - len(shop.buried)


def test_one_partner_s_bad_orders_do_not_hold_up_the_others(shop: Shop) -> None:
    """However many they are: a batch of them in a row is no proof against the tables."""
    shop.sql(REFUSED["a check"][0])
    copied = "phone, address, email, refferral_code, user_id, products, total_amount, discount, total_qty, content_hash"
    shop.post(["before"])
    shop.sql(
        f"INSERT INTO orders (partner_id, order_id, name, {copied}, event_partition, event_offset, event_time) SELECT "
        f"'other', order_id, name, {copied}, event_partition, event_offset, event_time FROM orders"
    )
    bad = IN_A_ROW_MAX + 20
    assert shop.post([BAD] * bad) == {"invalid": bad}
    assert shop.post(["good"]) == {"updated": 1}
    assert len(shop.buried) == bad


def test_rows_that_are_older_than_a_rule_do_not_show_that_it_refuses_everything(shop: Shop) -> None:
    """A consumer that was just started has accepted nothing yet. The rule is NOT VALID, because old rows break it."""
    shop.post(["old"] * 5)
    shop.sql("ALTER TABLE orders ADD CHECK (name <> 'old') NOT VALID")
    shop.restart()
    assert shop.post(["old", "good"], first=10) == {"invalid": 1, "inserted": 1}


def test_a_table_that_refuses_everything_is_seen_at_one_order_a_minute(shop: Shop) -> None:
    shop.sql(trigger("RAISE 'closed';", "AFTER INSERT OR UPDATE"))

    def post_every_minute() -> None:
        for number in range(60):
            shop.post(["good"], first=number)
            shop.now_s += 60

    with pytest.raises(TablesAtFaultError, match="P0001 closed"):
        post_every_minute()
    assert len(shop.buried) < 15


def test_bad_orders_among_good_ones_are_never_taken_for_a_table_at_fault(shop: Shop) -> None:
    shop.sql(REFUSED["a check"][0])
    names = [name for _ in range(IN_A_ROW_MAX + 20) for name in ("good", BAD)]
    assert shop.post(names) == {"inserted": len(names) // 2, "invalid": len(names) // 2}
    assert len(shop.buried) == len(names) // 2


def test_a_transaction_timeout_of_the_role_makes_batches_smaller(shop: Shop) -> None:
    shop.sql(trigger("PERFORM pg_sleep(0.004);"))
    [row] = shop.sql("SELECT quote_ident(current_database()) AS name")
    shop.sql(f"ALTER DATABASE {row['name']} SET transaction_timeout = '400ms'")
    batch = shop.batch(["good"] * 300)
    for attempt in range(20):
        try:
            shop.apply(batch)
            break
        except TooMuchAtOnceError:
            assert attempt < 15
    assert shop.names() == {"good": 300}
    assert shop.buried == []


def test_a_plan_that_fits_no_more_is_made_anew(shop: Shop) -> None:
    for _ in range(7):
        shop.post(["before"])
    shop.sql("ALTER TABLE orders ALTER event_offset TYPE numeric")
    with pytest.raises(PlanLostError, match="0A000"):
        shop.post(["after"])
    shop.ends = defaultdict(int, {row["partition"]: row["next_offset"] for row in shop.sql("TABLE consumer_partition")})
    assert shop.post(["after"]) == {"updated": 1}


ALTERED = {
    "ALTER TABLE orders ADD COLUMN note text DEFAULT 'x'": False,
    "ALTER TABLE orders ALTER note TYPE varchar(9)": False,
    "ALTER TABLE orders DROP COLUMN note": False,
    "ALTER TABLE orders ALTER name TYPE varchar(500), ALTER total_amount TYPE numeric": False,
    "ALTER TABLE orders ALTER event_offset TYPE numeric, ALTER event_partition TYPE int": True,
    'ALTER TABLE orders ALTER order_id TYPE varchar COLLATE "C", ALTER partner_id TYPE varchar COLLATE "C"': False,
    "ALTER TABLE order_letter ALTER event_offset TYPE numeric": True,
    'ALTER TABLE order_letter ALTER order_id TYPE varchar COLLATE "C"': False,
    "ALTER TABLE request_part ALTER outcomes TYPE varchar, ALTER digest TYPE varchar": True,
    "ALTER TABLE request_key ALTER digest TYPE varchar": True,
    "ALTER TABLE consumer_partition ALTER next_offset TYPE numeric": True,
    "ALTER TABLE request_part ADD COLUMN note text; ALTER TABLE request_key ADD COLUMN note text": False,
}
"""What a DBA changes under a running consumer; and whether a plan of ours gets another result by it."""


def test_each_statement_survives_an_alter_under_a_running_consumer(shop: Shop) -> None:
    shop.sql(f"ALTER TABLE orders ADD CONSTRAINT good CHECK (name <> '{BAD}')")
    posted = lost = 0

    def apply(batch: Batch) -> Counter[str]:
        nonlocal lost
        found, times = shop.apply_as_a_worker(batch)
        lost += times
        return found

    def of_each_kind() -> None:
        """New and changed orders, few and many, with and without a key; repeated."""
        nonlocal posted
        posted += 1
        for size in (1, 101):
            for digest in (None, "d" * 32):
                for name in (f"a {posted}", f"b {posted}"):
                    batch = shop.batch([name] * size, first=1000 * posted if size > 1 else 0, digest=digest)
                    wanted = apply(batch)
                    assert wanted.total() == size
                    assert apply(batch) == wanted

    assert apply(shop.batch([BAD], first=7)) == {
        "invalid": 1
    }  # a letter, so that letters are read; a rollback forgets plans
    assert shop.sql("SELECT count(*) AS n FROM order_letter") == [{"n": 1}]
    for _ in range(2):  # the statements are prepared by then
        of_each_kind()
    for change, fits_no_more in ALTERED.items():
        lost = 0
        shop.sql(change)
        of_each_kind()
        assert (lost > 0) is fits_no_more, change
        for _ in range(1 if lost else 0):
            of_each_kind()
    assert len(shop.buried) == 1


def test_functions_that_name_the_row_type_find_the_new_table_after_each_swap(shop: Shop, database: str) -> None:
    """In a consumer's session they are compiled with the table that is gone after the second swap."""
    shop.sql("INSERT INTO source_topic (topic, topic_id) VALUES ('orders.upserts', 'x'); CREATE TABLE seen (name text)")
    shop.sql(
        "CREATE FUNCTION note(id text) RETURNS void LANGUAGE plpgsql AS $$ "
        "DECLARE one orders%%ROWTYPE; other orders.name%%TYPE; many orders[]; BEGIN "
        "SELECT * INTO one FROM orders WHERE order_id = id; "
        "SELECT name INTO other FROM orders WHERE order_id = id; INSERT INTO seen VALUES (coalesce(one.name, other)); "
        "SELECT array_agg(o) INTO many FROM (SELECT o FROM orders AS o LIMIT 2) AS two; one := many[1]; END $$;"
        + trigger("PERFORM note(NEW.order_id);", "AFTER INSERT")
    )
    for swaps in range(4):
        for size in SIZES:
            shop.apply_as_a_worker(shop.batch([f"after {swaps}"] * size, first=10_000 * swaps + 1000 * size))
        assert shop.sql("SELECT count(*) AS n FROM seen WHERE name = %s", f"after {swaps}") == [{"n": sum(SIZES)}]
        swap_copies(database)
    assert shop.buried == []


def test_the_ingress_reads_on_after_an_alter(shop: Shop, database: str) -> None:
    shop.post(["good"], digest="d" * 32)
    request = RequestKey(UUID(int=1), "p")
    changes = [change for change in ALTERED if not change.startswith("ALTER TABLE orders")]
    changes += ["ALTER TABLE source_topic ALTER topic TYPE varchar, ALTER topic_id TYPE varchar(99)"]

    async def read_on() -> None:
        reader = PostgresLedgerReader(database)
        await reader.open()
        try:
            for change in ["", *changes]:
                shop.sql(change)
                for _ in range(7 * CONNECTIONS_MAX):
                    stored = await reader.read(request)
                    assert stored is not None
                    assert stored.digest == "d" * 32
                    await reader.read_log()
        finally:
            await reader.close()

    asyncio.run(read_on())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("ALTER TABLE orders DROP COLUMN total_qty", "ALTER TABLE orders ADD COLUMN total_qty bigint"),
        ("ALTER TABLE orders RENAME COLUMN phone TO telephone", "the column orders.phone is missing"),
        ("ALTER TABLE request_part DROP COLUMN digest", "the column request_part.digest is missing"),
        ("DROP TABLE order_letter", "the table order_letter is missing"),
        ("ALTER TABLE orders RENAME TO of_the_shop", "the table orders is missing"),
        ("DROP FUNCTION make_ledger_day", "the function make_ledger_day"),
        ("CREATE RULE r AS ON INSERT TO orders DO INSTEAD NOTHING", "the table orders has the rule r"),
    ],
)
def test_what_somebody_took_from_the_tables_is_named(shop: Shop, change: str, told: str) -> None:
    shop.sql(change)
    with pytest.raises(ConsumerStoppedError) as caught:
        shop.post(["good"])
    assert told in str(caught.value)
    assert "Run: orders setup" not in str(caught.value)


@pytest.mark.parametrize("policy", ["", "; CREATE POLICY of_the_shop ON orders FOR INSERT WITH CHECK (true)"])
def test_row_level_security_under_a_running_consumer_is_named(shop: Shop, database: str, policy: str) -> None:
    """It hides rows, so that they were inserted once more, and each of them was a dead letter."""
    role = f"limited_{token_hex(4)}"
    shop.sql(
        f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}; "
        f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO {role}"
    )
    try:
        shop.holder = SessionHolder(make_conninfo(database, user=role, password=PASSWORD), 7)
        shop.restart()
        shop.post(["before"])
        shop.sql(f"ALTER TABLE orders ENABLE ROW LEVEL SECURITY{policy}")
        for size in (1, 101):
            ends = shop.ends.copy()
            with pytest.raises(ConsumerStoppedError, match="row level security of orders applies to this role"):
                shop.post(["after"] * size)
            shop.ends = ends
        assert shop.buried == []
    finally:
        shop.holder.close()
        shop.sql(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_an_order_without_a_partition_of_a_shop_s_is_one_letter(shop: Shop) -> None:
    """It was taken for a day of the ledger that another consumer had dropped, for ever."""
    shop.sql(
        "ALTER TABLE orders RENAME TO unpartitioned; ALTER TABLE unpartitioned DROP CONSTRAINT orders_pkey; "
        "CREATE TABLE orders (LIKE unpartitioned, PRIMARY KEY (partner_id, order_id)) PARTITION BY LIST (order_id); "
        "CREATE TABLE orders_of_one PARTITION OF orders FOR VALUES IN ('O-1')"
    )
    assert shop.post(["good"] * 2) == {"invalid": 1, "inserted": 1}
    assert [letter.reason for letter in shop.buried] == ['23514 no partition of relation "orders" found for row']


def test_a_session_that_was_idle_for_too_long_is_made_anew(shop: Shop) -> None:
    """As after a virtual machine that was frozen in the middle of a batch."""
    shop.post(["before"])
    with shop.holder.session() as session:
        session.connection.execute("SET idle_in_transaction_session_timeout = 50")
        session.connection.execute("BEGIN")
        pid = session.connection.info.backend_pid
    eventually(lambda: shop.sql("SELECT pid FROM pg_stat_activity WHERE pid = %s", pid) == [])
    with pytest.raises(RetryLaterError, match="25P03"), shop.holder.session(writes_rows=True) as session:
        session.connection.execute("SELECT 1")
    assert shop.post(["after"]) == {"updated": 1}


def test_statements_that_are_prepared_no_more_are_prepared_anew(shop: Shop) -> None:
    for _ in range(7):
        shop.post(["before"])
    with shop.holder.session() as session:
        session.connection.pgconn.exec_(b"DEALLOCATE ALL")  # psycopg does not notice
    batch = shop.batch(["after"])
    with pytest.raises(PlanLostError, match="26000"):
        shop.apply(batch)
    assert shop.apply(batch) == {"updated": 1}


def test_neither_a_letter_nor_a_log_quotes_a_row(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    shop.sql("ALTER TABLE orders ADD CONSTRAINT of_the_shop CHECK (name <> 'secret')")
    shop.post(["good", "secret", "good"])
    [letter] = shop.buried
    assert letter.reason == '23514 new row for relation "orders" violates check constraint "of_the_shop"'
    assert "secret" not in caplog.text


def test_an_order_for_which_a_trigger_never_ends_is_one_letter(shop: Shop) -> None:
    shop.sql(trigger(f"IF NEW.name = '{BAD}' THEN PERFORM pg_sleep(60); END IF;"))
    batch = shop.batch(["good", BAD, "good"])
    found: Counter[str] = Counter()
    for attempt in range(20):
        with shop.holder.session() as session:
            session.connection.execute("SET statement_timeout = 100")
        try:
            found = shop.apply(batch)
            break
        except TooMuchAtOnceError:
            assert attempt < 15
    assert found == {"inserted": 2, "invalid": 1}
    assert [item.index for item in shop.buried] == [1]
