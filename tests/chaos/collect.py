"""The facts of a run, from the topics and the tables."""

import json
import secrets
from typing import Any

import psycopg
from confluent_kafka import Message
from psycopg.rows import dict_row

from chaos.facts import (
    APPLIED_BEFORE,
    CONFLICT,
    KEPT,
    REFUSED,
    Event,
    Facts,
    FenceMove,
    Outcomes,
    Position,
    RowWrite,
    trace_of,
)
from chaos.foreign import is_poison
from chaos.history import History
from chaos.lost_log import LostLog
from chaos.replay import replay
from consumer.postgres.migrate import migrate
from consumer.postgres.orders import COLUMNS
from support.installation import Installation, texts

_ERRORS = "__connect.errors."
_ROW_TEXTS = f"SELECT ROW({', '.join(COLUMNS)})::text AS row FROM orders ORDER BY partner_id, order_id"
"""Of our columns: a shop may have added some."""


def collect(installation: Installation, history: History, seed: int, lost: LostLog | None = None) -> Facts:
    """`lost`: if Kafka lost something, what it had before."""
    topics = installation.settings.topics
    messages = installation.records(topics.upserts)
    facts = Facts(calls=history.calls, faults=history.faults)
    with_eras = [(message, KEPT) for message in messages] if lost is None else lost.with_eras(messages)
    facts.lost_something = lost is not None
    facts.events = [_event(message, era) for message, era in with_eras if not is_poison(message.key())]
    facts.poison = [_place(message) for message in messages if is_poison(message.key())]
    letters, results = installation.records(topics.dlq), installation.records(topics.results)
    if lost is not None:
        letters, results = [*lost.letters, *letters], [*lost.results, *results]
        facts.fence_at_loss = lost.fence
    facts.letters = _letters(letters, facts)
    facts.results = [result for message in results for result in _results(message)]
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
    by_reason = {
        reason: {position for position, found in facts.letters.items() if found == reason}
        for reason in (CONFLICT, REFUSED, APPLIED_BEFORE)
    }
    other = _empty_database(url)
    replay(messages, by_reason[CONFLICT] | by_reason[APPLIED_BEFORE], by_reason[REFUSED], other, seed)
    facts.replayed_texts = [row["row"] for row in _rows(other, _ROW_TEXTS)]
    facts.replayed_ledger = _ledger(other)
    return facts


def _event(message: Message, era: int) -> Event:
    headers = texts(message)
    digest = headers.get("ce_requestdigest")
    request_id, _, index = headers["ce_id"].partition("/")
    return Event(
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        time_ms=message.timestamp()[1],
        partner=headers["ce_source"].removeprefix("/partners/"),
        request_id=request_id,
        index=int(index),
        digest=digest,
        trace=trace_of(headers.get("traceparent"), request_id, digest),
        value=message.value() or b"",
        era=era,
    )


def _place(message: Message) -> Position:
    return message.partition() or 0, message.offset() or 0


def _letters(messages: list[Message], facts: Facts) -> dict[Position, str]:
    """A letter names the place of its event, and has its ce_id: two logs may have different events at one place."""
    events = {
        (event.partition, event.offset, f"{event.request_id}/{event.index}"): event.position for event in facts.events
    }
    poison, found = set(facts.poison), {}
    for message in messages:
        headers = texts(message)
        place = int(headers[f"{_ERRORS}partition"]), int(headers[f"{_ERRORS}offset"])
        position = events.get((*place, headers.get("ce_id", "")), place if place in poison else None)
        if position is not None:
            found[position] = headers[f"{_ERRORS}exception.class.name"]
    return found


def _results(message: Message) -> list[Outcomes]:
    """Of one request, or of several that share a record."""
    value: dict[str, Any] = json.loads(message.value() or b"")
    return [
        Outcomes(None, each["request_id"], each.get("digest"), each["outcomes"], each.get("conflict", False))
        for each in value.get("results", [value])
    ]


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
