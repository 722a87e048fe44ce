"""Outcomes on their way back to whoever asked."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from consumer.core.record import DAY_MS, Decoded, Outgoing, Rejected, utc_day
from contracts.event import CORRELATION_HEADER, BodyKey, EventContext, ReplyTo, RequestKey
from contracts.result import Outcome, encode_outcomes, encode_result, outcomes_of


@dataclass(frozen=True, slots=True)
class RequestPart:
    """The outcomes of one request in one batch, named after the first event of the request in it."""

    context: EventContext
    partition: int
    first_offset: int
    day: date
    outcomes_json: str


@dataclass(frozen=True, slots=True)
class StoredPart:
    """What the ledger has of one request and one batch."""

    body_key: BodyKey
    outcomes_json: str


def request_parts(outcomes: Iterable[tuple[Decoded, Outcome]]) -> list[RequestPart]:
    """The outcomes of a batch, request by request. A request is known by its id and its partner."""
    grouped: dict[RequestKey, list[tuple[Decoded, Outcome]]] = {}
    last, items = None, list[tuple[Decoded, Outcome]]()
    for decoded, outcome in outcomes:
        context = decoded.context
        assert context is not None  # the fold gives outcomes for such records only
        if context is not last:  # the events of a request come together, and share it
            last = context
            items = grouped.setdefault(context.body_key.request_key, [])
        items.append((decoded, outcome))
    parts = []
    for items in grouped.values():
        first, _ = items[0]
        indexes = ((decoded.index, outcome) for decoded, outcome in items)
        parts.append(
            RequestPart(
                first.context,  # type: ignore[arg-type]
                first.record.partition,
                first.record.offset,
                utc_day(first.record.time_ms // DAY_MS),
                encode_outcomes(outcomes_of(indexes)),
            )
        )
    return parts


@dataclass(frozen=True, slots=True)
class Reply:
    """Outcomes of one request, for one place; a duplicate is harmless, the ingress keeps a bit for each index."""

    request_id: UUID
    reply_to: ReplyTo
    outcomes_json: str
    digest: str | None = None
    conflict: bool = False
    stored: bool = False


def first_replies(parts: Iterable[RequestPart]) -> list[Reply]:
    """For what was applied just now."""
    return [
        Reply(part.context.request_id, part.context.reply_to, part.outcomes_json, part.context.digest)
        for part in parts
        if part.context.reply_to is not None
    ]


def stored_replies(events: Iterable[Decoded], parts: Iterable[StoredPart], *, repeated: bool) -> list[Reply]:
    """For events that were applied before: everything that the ledger has of their requests, to everyone who asks.

    `repeated`: they were published again, which is told only to who has a key, and so asked again; else they are read
    again, because whoever applied them may have died before it answered.
    """
    askers: dict[BodyKey, set[ReplyTo]] = {}
    for decoded in events:
        context = decoded.context
        if context is not None and context.reply_to is not None:
            askers.setdefault(context.body_key, set()).add(context.reply_to)
    return [
        Reply(
            part.body_key.request_key.request_id,
            reply_to,
            part.outcomes_json,
            part.body_key.digest,
            stored=repeated and part.body_key.digest is not None,
        )
        for part in parts
        for reply_to in sorted(askers.get(part.body_key, ()), key=str)
    ]


def conflict_replies(conflicts: Iterable[Rejected]) -> list[Reply]:
    """For events whose key belongs to another body."""
    grouped: dict[tuple[UUID, str | None, ReplyTo], list[int]] = {}
    for rejected in conflicts:
        context = rejected.context
        if context is not None and context.reply_to is not None:
            grouped.setdefault((context.request_id, context.digest, context.reply_to), []).append(rejected.index)
    return [
        Reply(
            request_id,
            reply_to,
            encode_outcomes(outcomes_of((index, Outcome.INVALID) for index in indexes)),
            digest,
            conflict=True,
        )
        for (request_id, digest, reply_to), indexes in grouped.items()
    ]


def result_record(reply: Reply) -> Outgoing:
    request_id = str(reply.request_id).encode()
    return Outgoing(
        topic=reply.reply_to.topic,
        partition=reply.reply_to.partition,
        key=request_id,
        value=encode_result(
            reply.request_id,
            reply.outcomes_json,
            digest=reply.digest,
            conflict=reply.conflict,
            stored=reply.stored,
        ),
        headers=[(CORRELATION_HEADER, request_id)],
    )
