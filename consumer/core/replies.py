"""Outcomes on their way back to the ingress or shop that asked."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from consumer.core.batch import Batch, Columns, Run
from consumer.core.portions import portions
from consumer.core.record import DAY_MS, Outgoing, Rejected, utc_day
from contracts.event import CORRELATION_HEADER, BodyKey, EventContext, ReplyTo, RequestKey
from contracts.result import (
    Outcome,
    decode_outcomes,
    encode_outcomes,
    encode_result,
    encode_results,
    outcomes_by,
    outcomes_of,
)


@dataclass(frozen=True, slots=True)
class RequestPart:
    """The outcomes of one request in one batch. Partition, offset and time are those of its first event in the batch.

    `asked`: each place that one of its events names for the reply, with the outcomes of those events.
    """

    context: EventContext
    partition: int
    first_offset: int
    day: date
    time_ms: int
    outcomes_json: str
    asked: Sequence[tuple[ReplyTo, str]]


@dataclass(frozen=True, slots=True)
class StoredPart:
    """What the ledger has about one request in one batch."""

    body_key: BodyKey
    outcomes_json: str


def request_parts(batch: Batch, outcomes: Sequence[Outcome]) -> list[RequestPart]:
    """Groups the outcomes of a batch, one for each record, by request. A request is identified by its id and its
    partner."""
    grouped: dict[RequestKey, tuple[Run, list[int], list[Outcome]]] = {}
    mixed: set[RequestKey] = set()
    end = 0
    for run in batch.runs:
        start, end = end, end + len(run.positions)
        if run.context is not None:
            request = run.context.body_key.request_key
            first, indexes, of_request = grouped.setdefault(request, (run, [], []))
            indexes += run.of(batch.columns.indexes)
            of_request += outcomes[start:end]
            if run.context is not first.context:
                mixed.add(request)
    parts = [_part(batch.columns, *found) for found in grouped.values()]
    if not mixed:
        return parts
    asked = _asked(batch, outcomes, mixed)
    requests = (part.context.body_key.request_key for part in parts)
    return [
        replace(part, asked=asked[request]) if request in mixed else part
        for part, request in zip(parts, requests, strict=True)
    ]


def _part(columns: Columns, first: Run, indexes: list[int], outcomes: list[Outcome]) -> RequestPart:
    context = first.context
    assert context is not None
    at = first.positions[0]
    time_ms = columns.times_ms[at]
    day = utc_day(time_ms // DAY_MS)
    outcomes_json = encode_outcomes(outcomes_by(indexes, outcomes))
    asked = [] if context.reply_to is None else [(context.reply_to, outcomes_json)]
    return RequestPart(context, first.partition, columns.offsets[at], day, time_ms, outcomes_json, asked)


def _asked(
    batch: Batch, outcomes: Sequence[Outcome], requests: Collection[RequestKey]
) -> dict[RequestKey, list[tuple[ReplyTo, str]]]:
    """`asked` of requests whose events, by another writer, may differ in their headers."""
    grouped: dict[RequestKey, dict[ReplyTo, tuple[list[int], list[Outcome]]]] = {request: {} for request in requests}
    end = 0
    for run in batch.runs:
        start, end = end, end + len(run.positions)
        if run.context is None or run.context.reply_to is None:
            continue
        of_request = grouped.get(run.context.body_key.request_key)
        if of_request is not None:
            indexes, of_place = of_request.setdefault(run.context.reply_to, ([], []))
            indexes += run.of(batch.columns.indexes)
            of_place += outcomes[start:end]
    return {
        request: [(place, encode_outcomes(outcomes_by(*theirs))) for place, theirs in places.items()]
        for request, places in grouped.items()
    }


@dataclass(frozen=True, slots=True)
class Reply:
    """Outcomes of a request for one reply address. A duplicate does no harm: the ingress keeps a bit for each index."""

    request_id: UUID
    reply_to: ReplyTo
    outcomes_json: str
    digest: str | None = None
    conflict: bool = False
    stored: bool = False


def first_replies(parts: Iterable[RequestPart]) -> list[Reply]:
    """The replies for events that were applied in this batch."""
    return [
        Reply(part.context.request_id, reply_to, outcomes_json, part.context.digest)
        for part in parts
        for reply_to, outcomes_json in part.asked
    ]


def stored_replies(batch: Batch, parts: Iterable[StoredPart], *, repeated: bool) -> list[Reply]:
    """The replies for events that were applied before, from what the ledger has about their requests.

    If the events of a request name one place, it gets all that is known of the request. If they name several, each gets
    the outcomes of the events that name it: all for each would be the square of what a writer sends.

    `repeated`: the events were published again. Only replies to requests with a key say so, because only those were
    repeated by a client. Otherwise the same events are read again, because the consumer that applied them may have died
    before it replied.
    """
    askers: dict[BodyKey, set[ReplyTo]] = {}
    for run in batch.runs:
        context = run.context
        if context is not None and context.reply_to is not None:
            askers.setdefault(context.body_key, set()).add(context.reply_to)
    several = {body_key: dict[int, Outcome]() for body_key, places in askers.items() if len(places) > 1}
    replies = list[Reply]()
    for part in parts:
        if (known := several.get(part.body_key)) is not None:
            for outcome, indexes in decode_outcomes(part.outcomes_json).items():
                known.update(dict.fromkeys(indexes, outcome))
        else:
            replies += (
                _stored(part.body_key, place, part.outcomes_json, repeated=repeated)
                for place in askers.get(part.body_key, ())
            )
    if several:
        for (body_key, place), asked in _indexes_asked(batch, several).items():
            known = several[body_key]
            if of_place := [(index, known[index]) for index in sorted(asked) if index in known]:
                replies.append(_stored(body_key, place, encode_outcomes(outcomes_of(of_place)), repeated=repeated))
    return replies


def _indexes_asked(batch: Batch, body_keys: Collection[BodyKey]) -> dict[tuple[BodyKey, ReplyTo], set[int]]:
    """For each place that the events of these requests name, the indexes of those events."""
    asked: dict[tuple[BodyKey, ReplyTo], set[int]] = {}
    for run in batch.runs:
        context = run.context
        if context is not None and context.reply_to is not None and context.body_key in body_keys:
            asked.setdefault((context.body_key, context.reply_to), set()).update(run.of(batch.columns.indexes))
    return asked


def _stored(body_key: BodyKey, place: ReplyTo, outcomes_json: str, *, repeated: bool) -> Reply:
    stored = repeated and body_key.digest is not None
    return Reply(body_key.request_key.request_id, place, outcomes_json, body_key.digest, stored=stored)


def conflict_replies(conflicts: Iterable[Rejected]) -> list[Reply]:
    """The replies for events whose key belongs to another body."""
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


RESULTS_BYTES_MAX = 256 * 1024
"""Of the results that share a record. Kafka takes records of 1 MiB."""


def result_records(replies: Iterable[Reply], results_topic: str) -> list[Outgoing]:
    """What to send. Outcomes of several requests for one partition of orders.results share records.

    A request that names its own topic gets a record of its own. `results_topic`: the name of orders.results.
    """
    records: list[Outgoing] = []
    shared: dict[int | None, list[Reply]] = {}
    for reply in replies:
        if reply.reply_to.topic is None:
            shared.setdefault(reply.reply_to.partition, []).append(reply)
        else:
            records.append(result_record(reply, results_topic))
    for partition, asked in shared.items():
        if len(asked) == 1:
            records.append(result_record(asked[0], results_topic))
        else:  # a record of several requests has no key and no headers
            records += (
                Outgoing(results_topic, None, encode_results(values), (), partition)
                for values in portions(map(_value, asked), len, RESULTS_BYTES_MAX)
            )
    return records


def result_record(reply: Reply, results_topic: str) -> Outgoing:
    """`results_topic`: where a reply goes whose event names no topic."""
    request_id = str(reply.request_id).encode()
    correlation = reply.reply_to.correlation
    return Outgoing(
        topic=reply.reply_to.topic or results_topic,
        partition=reply.reply_to.partition,
        key=request_id,
        value=_value(reply),
        headers=[(CORRELATION_HEADER, request_id if correlation is None else correlation)],
    )


def _value(reply: Reply) -> bytes:
    return encode_result(
        reply.request_id,
        reply.outcomes_json,
        digest=reply.digest,
        conflict=reply.conflict,
        stored=reply.stored,
    )
