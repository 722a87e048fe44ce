"""Breakages of the ingress: each function changes the running program, and nothing else."""

import random
from dataclasses import replace
from typing import Any

from chaos.patching import put
from order_upsert.contracts.order import Order
from order_upsert.contracts.result import Outcome
from order_upsert.ingress import orders, publisher, replies
from order_upsert.ingress.errors import UnavailableError

OFTEN = 0.02


def refused_after_publishing() -> None:
    """Now and then a 503 that says that nothing was published."""
    publish = publisher.Publisher.publish

    def refusing(self: Any, *request: Any) -> None:
        publish(self, *request)
        if random.random() < OFTEN:
            raise UnavailableError("A breakage.")

    put(publisher.Publisher, "publish", refusing)


def published_again() -> None:
    """Now and then, as by a retry that does not know that the first attempt came through."""
    publish = publisher.Publisher.publish

    def twice(self: Any, *request: Any) -> None:
        publish(self, *request)
        if random.random() < OFTEN:
            publish(self, *request)

    put(publisher.Publisher, "publish", twice)


def producer_not_idempotent() -> None:
    producer = vars(publisher)["Producer"]

    def plain(config: dict[str, Any], **others: Any) -> Any:
        return producer({**config, "enable.idempotence": False, "request.timeout.ms": 1000}, **others)

    put(publisher, "Producer", plain)


def partner_from_the_body() -> None:
    """As if `user_id` said whose order it is."""
    writer = vars(orders)["HeaderWriter"]
    publish = publisher.Publisher.publish
    contexts: dict[Any, Any] = {}

    def noting(context: Any) -> Any:
        contexts[context.request_id] = context
        return writer(context)

    def publishing(self: Any, request_id: Any, items: Any, headers: Any) -> None:
        for item in items:
            partner = Order.model_validate_json(item[2]).user_id
            publish(self, request_id, [item], writer(replace(contexts[request_id], partner_id=partner)))

    put(orders, "HeaderWriter", noting)
    put(publisher.Publisher, "publish", publishing)


def results_counted_twice() -> None:
    """Without the bit for each index."""

    def settle(pending: Any, result: Any) -> None:
        for outcome, indexes in result.outcomes.items():
            for index in indexes:
                pending.missing &= ~(1 << index)
                pending.counts.add(outcome)
        if not pending.missing and not pending.answer.done():
            pending.answer.set_result(pending.counts)

    put(replies, "_settle", settle)


def answered_when_published() -> None:
    """Without waiting for the outcomes."""
    add = replies.PendingReplies.add

    def answering(self: Any, request_id: Any, indexes: Any, counts: Any, answer: Any) -> None:
        listed = list(indexes)
        add(self, request_id, listed, counts, answer)
        for _ in listed:
            counts.add(Outcome.INSERTED)
        answer.set_result(counts)

    put(replies.PendingReplies, "add", answering)


def invalid_orders_published() -> None:
    put(orders, "invalid_reason", lambda order: None)
