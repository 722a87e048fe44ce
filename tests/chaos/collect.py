"""The facts of a run, from the topics and the tables."""

import json
import secrets
from typing import Any

import psycopg
from confluent_kafka import Message
from psycopg.rows import dict_row

from chaos.facts import CONFLICT, Event, Facts, FenceMove, Outcomes, Position, RowWrite
from chaos.history import History
from chaos.replay import replay
from consumer.postgres.migrate import migrate
from support.installation import Installation, texts

_ERRORS = "__connect.errors."
_ROW_TEXTS = "SELECT orders::text AS row FROM orders ORDER BY partner_id, order_id"


def collect(installation: Installation, history: History, seed: int) -> Facts:
    topics = installation.settings.topics
    messages = installation.records(topics.upserts)
    facts = Facts(calls=history.calls, faults=history.faults)
    facts.events = [_event(message) for message in messages]
    facts.letters = _letters(installation.records(topics.dlq))
    facts.results = [_result(message) for message in installation.records(topics.results)]
    facts.committed = installation.committed()
    url = installation.postgres_url
    facts.ledger = _ledger(url)
    facts.rows = {(row["partner_id"], row["order_id"]): row for row in _rows(url, "SELECT * FROM orders")}
    facts.fence = {row["partition"]: row["next_offset"] for row in _rows(url, "SELECT * FROM consumer_partition")}
    facts.row_texts = [row["row"] for row in _rows(url, _ROW_TEXTS)]
    facts.fence_moves = [
        FenceMove(row["tx"], row["partition"], row["before"], row["after"], row["at_s"] - history.start_s)
        for row in _rows(url, "SELECT * FROM chaos.fence_move ORDER BY n")
    ]
    facts.row_writes = [
        RowWrite(row["tx"], (row["partner_id"], row["order_id"]), row["partition"], row["event_offset"])
        for row in _rows(url, "SELECT * FROM chaos.row_write ORDER BY n")
    ]
    conflicts = {position for position, reason in facts.letters.items() if reason == CONFLICT}
    other = _empty_database(url)
    replay(messages, conflicts, other, seed)
    facts.replayed_texts = [row["row"] for row in _rows(other, _ROW_TEXTS)]
    facts.replayed_ledger = _ledger(other)
    return facts


def _event(message: Message) -> Event:
    headers = texts(message)
    request_id, _, index = headers["ce_id"].partition("/")
    return Event(
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        time_ms=message.timestamp()[1],
        partner=headers["ce_source"].removeprefix("/partners/"),
        request_id=request_id,
        index=int(index),
        digest=headers.get("ce_requestdigest"),
        trace=headers.get("traceparent", "--").split("-")[1],
        value=message.value() or b"",
    )


def _letters(messages: list[Message]) -> dict[Position, str]:
    found = {}
    for message in messages:
        headers = texts(message)
        position = int(headers[f"{_ERRORS}partition"]), int(headers[f"{_ERRORS}offset"])
        found[position] = headers[f"{_ERRORS}exception.class.name"]
    return found


def _result(message: Message) -> Outcomes:
    value: dict[str, Any] = json.loads(message.value() or b"")
    return Outcomes(None, value["request_id"], value.get("digest"), value["outcomes"], value.get("conflict", False))


def _ledger(url: str) -> list[Outcomes]:
    return [
        Outcomes(row["partner_id"], str(row["request_id"]), row.get("digest"), json.loads(row["outcomes"]))
        for row in _rows(url, "SELECT * FROM request_part")
    ]


def _rows(url: str, statement: str) -> list[dict[str, Any]]:
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        return connection.execute(statement.encode()).fetchall()


def _empty_database(url: str) -> str:
    name = f"replay_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    other = f"{url.rpartition('/')[0]}/{name}"
    migrate(other)
    return other
