"""Outcomes on their way back to whoever asked."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from consumer.ledger import RequestPart, StoredPart
from consumer.producer import Outgoing
from consumer.record import Decoded, Rejected
from contracts.record import CORRELATION_HEADER, ReplyTo, Request
from contracts.result import Outcome, encode_outcomes, encode_result, outcomes_of


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
    askers: dict[tuple[Request, str | None], set[ReplyTo]] = {}
    for decoded in events:
        context = decoded.context
        if context is not None and context.reply_to is not None:
            askers.setdefault((context.request, context.digest), set()).add(context.reply_to)
    return [
        Reply(part.request[0], reply_to, part.outcomes_json, part.digest, stored=repeated and part.digest is not None)
        for part in parts
        for reply_to in sorted(askers.get((part.request, part.digest), ()), key=str)
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
