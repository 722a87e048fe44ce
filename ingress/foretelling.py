"""What a dry-run is answered."""

import logging

from contracts.ledger_reader import LedgerReader, LedgerUnavailableError, OrdersUnreadableError
from contracts.result import outcomes_of
from ingress import problems
from ingress.admission import Held
from ingress.checked_request import CheckedRequest, Item
from ingress.errors import NoDryRunError, UnavailableError
from ingress.pending_replies import Answer

_log = logging.getLogger(__name__)


async def foretell(
    ledger: LedgerReader, checked: CheckedRequest, items: list[Item], held: Held, *, is_reachable: bool
) -> Answer:
    """What is checked before orders are published, and then their outcomes as they would be now.

    `is_reachable`: whether Kafka is. Raises UnavailableError, PartnerShareError and NoDryRunError.
    """
    if not is_reachable:
        raise UnavailableError(problems.KAFKA_UNREACHABLE)
    held.add_orders(len(items))
    orders = [(checked.order_ids[index], canonical) for index, _, canonical in items]
    try:
        outcomes = await ledger.foretell(checked.partner_id, orders)
    except OrdersUnreadableError as error:
        _log.warning("no dry-run: %s", error)
        raise NoDryRunError from error
    except LedgerUnavailableError as error:
        raise UnavailableError(problems.ORDERS_UNREADABLE) from error
    indexes = (index for index, _, _ in items)
    return Answer(outcomes_of(zip(indexes, outcomes, strict=True)))
