"""Outcomes on their way back to whoever asked."""

from dataclasses import dataclass
from uuid import UUID

from order_upsert.consumer.producer import Outgoing
from order_upsert.contracts.record import CORRELATION_HEADER, ReplyTo
from order_upsert.contracts.result import encode_result


@dataclass(frozen=True, slots=True)
class Reply:
    """Outcomes of one request, for one place; a duplicate is harmless, the ingress keeps a bit for each index."""

    request_id: UUID
    reply_to: ReplyTo
    outcomes_json: str


def result_record(reply: Reply) -> Outgoing:
    request_id = str(reply.request_id).encode()
    return Outgoing(
        topic=reply.reply_to.topic,
        partition=reply.reply_to.partition,
        key=request_id,
        value=encode_result(reply.request_id, reply.outcomes_json),
        headers=[(CORRELATION_HEADER, request_id)],
    )
