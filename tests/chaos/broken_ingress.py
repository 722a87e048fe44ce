"""Breakages of the ingress: each function changes the running program, and nothing else."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

from chaos.patching import put
from contracts.event import HeaderWriter
from contracts.order import Order
from contracts.result import Outcome
from ingress import batch, orders, pending_replies, problems, publisher
from ingress.errors import UnavailableError

OFTEN = 0.02


def refused_after_publishing() -> None:
    """Now and then the answer is 503, which says that nothing was published."""
    publish = publisher.Publisher.publish

    def refusing(self: Any, *request: Any, **about: Any) -> None:
        publish(self, *request, **about)
        if random.random() < OFTEN:
            raise UnavailableError(problems.NOT_READY)

    put(publisher.Publisher, "publish", refusing)


def published_under_another_id() -> None:
    """Now and then, as by a retry inside of the ingress that does not know that the first attempt came through."""
    publish = publisher.Publisher.publish
    contexts = _noted_contexts()

    def twice(self: Any, request_id: Any, items: Any, headers: Any, *about: Any, **more: Any) -> None:
        context = contexts[request_id]
        publish(self, request_id, items, headers, *about, **more)
        if context.digest is None and random.random() < OFTEN:
            publish(self, request_id, items, HeaderWriter(replace(context, request_id=uuid4())))

    put(publisher.Publisher, "publish", twice)


def partner_from_the_body() -> None:
    """As if `user_id` named the partner."""
    publish = publisher.Publisher.publish
    contexts = _noted_contexts()

    def publishing(self: Any, request_id: Any, items: Any, headers: Any, *about: Any, **more: Any) -> None:
        for item in items:
            partner = Order.model_validate_json(item[2]).user_id
            publish(self, request_id, [item], HeaderWriter(replace(contexts[request_id], partner_id=partner)))

    put(publisher.Publisher, "publish", publishing)


def results_counted_twice() -> None:
    """Without the bit for each index."""
    in_order = pending_replies._settle

    def settle(pending: Any, result: Any) -> None:
        if result.conflict:
            in_order(pending, result)
            return
        for outcome, indexes in result.outcomes.items():
            for index in indexes:
                pending.missing &= ~(1 << index)
                pending.answer.outcomes[outcome].append(index)
        if not pending.missing and not pending.done.done():
            pending.done.set_result(pending.answer)

    put(pending_replies, "_settle", settle)


def answered_when_published() -> None:
    """Without waiting for the outcomes."""
    waiting_for = pending_replies.PendingReplies.waiting_for

    @contextmanager
    def answering(self: Any, request_id: Any, digest: Any, indexes: Any) -> Iterator[Any]:
        listed = list(indexes)
        with waiting_for(self, request_id, digest, listed) as pending:
            if not pending.done.done():
                pending.answer.outcomes[Outcome.INSERTED] += listed
                pending.done.set_result(pending.answer)
            yield pending

    put(pending_replies.PendingReplies, "waiting_for", answering)


def invalid_orders_published() -> None:
    put(batch, "reason_of_values", lambda order: None)


def _noted_contexts() -> dict[Any, Any]:
    """Applies to every request from now on, by its id."""
    contexts: dict[Any, Any] = {}

    def noting(context: Any) -> Any:
        contexts[context.request_id] = context
        return HeaderWriter(context)

    put(orders, "HeaderWriter", noting)
    return contexts
