"""What a shop does to the tables in mid-run: columns of its own, and a trigger that refuses one order."""

import threading
from typing import Any

import psycopg

from chaos.begun import Begun
from chaos.cluster import Cluster
from chaos.workload import HOT_KEYS

COLUMNS = """
SET lock_timeout = '300ms';
ALTER TABLE orders
    ADD COLUMN IF NOT EXISTS exported boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS noted_at timestamptz DEFAULT now(),
    ADD COLUMN IF NOT EXISTS to_pay numeric GENERATED ALWAYS AS (total_amount::numeric + coalesce(discount, 0)) STORED
"""
TRIGGER = """
SET lock_timeout = '300ms';
CREATE SCHEMA IF NOT EXISTS shop;
CREATE TABLE IF NOT EXISTS shop.refused (order_id text, since timestamptz DEFAULT now());
CREATE OR REPLACE FUNCTION shop.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF EXISTS (SELECT FROM shop.refused AS r WHERE r.order_id = NEW.order_id AND r.since < NEW.event_time) THEN
        RAISE EXCEPTION 'the shop refuses %', NEW.order_id;
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER refuse BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION shop.refuse()
"""
_PAUSE_S = 0.1


def wrong_columns(row: dict[str, Any]) -> list[str]:
    """Those of the shop's columns that do not hold what their definition says. None of them is there before its day."""
    is_right = {
        "exported": row.get("exported") is False,
        "noted_at": row.get("noted_at") is not None,
        "to_pay": row.get("to_pay") == row["total_amount"] + (row.get("discount") or 0),
    }
    return [name for name in is_right if name in row and not is_right[name]]


def add_columns(cluster: Cluster, _: int) -> Begun:
    """They stay."""
    return Begun("", _Changing(cluster.postgres.url(), COLUMNS).end)


def refuse_an_order(cluster: Cluster, choice: int) -> Begun:
    """One that is often written, of every partner. The trigger stays, and refuses nothing any more after the fault.

    It takes what was written before. After a restore such events are applied once more, and were answered already: no
    checker can tell what becomes of them if the rules of the tables have changed (docs/limits.md).
    """
    url, order_id = cluster.postgres.url(), f"hot-{choice % HOT_KEYS}"
    changing = _Changing(url, f"{TRIGGER}; INSERT INTO shop.refused (order_id) VALUES ('{order_id}')")

    def end() -> None:
        changing.end()
        with psycopg.connect(url, autocommit=True) as connection:
            if connection.execute("SELECT to_regclass('shop.refused')").fetchone() != (None,):
                connection.execute("DELETE FROM shop.refused")

    return Begun(order_id, end)


class _Changing:
    """Tries until it gets the lock: a frozen consumer may hold it, and only we let that one go on."""

    def __init__(self, url: str, statements: str) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._change, args=[url, statements], daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        self._thread.join()

    def _change(self, url: str, statements: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while not self._stop.is_set():
                try:
                    connection.execute(statements.encode())
                except psycopg.errors.LockNotAvailable:
                    self._stop.wait(_PAUSE_S)
                else:
                    return
