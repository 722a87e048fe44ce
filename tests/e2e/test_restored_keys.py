"""A restored Postgres has lost who owns an Idempotency-Key. Its old owner is applied again before a new body (P8)."""

import ast
import re
import signal
from collections.abc import Callable
from itertools import count

from contracts.partitioner import partition_of
from deploy.local.child import Child
from deploy.local.postgres import PostgresServer
from support.installation import Installation
from support.orders import an_order
from support.put_back import backup_of, restore
from support.waiting import eventually


def partitions_of(consumer: Child) -> set[int]:
    """What it was assigned last, by its log."""
    return set(ast.literal_eval(re.findall(r"assigned: (\{.*\})", consumer.log.read_text())[-1]))


def order_id_in(partitions: set[int], name: str) -> str:
    return next(key for n in count() if partition_of((key := f"{name}-{n}").encode(), 12) in partitions)


def test_a_new_body_never_takes_the_key_of_one_that_was_answered_before_a_restore(
    install: Callable[[str, str], Installation], bootstrap: str, own_postgres: PostgresServer
) -> None:
    """The consumer of the old owner's partition hangs, and that of the new body's has nothing to read again."""
    installation = install(bootstrap, own_postgres.url())
    old, new = installation.start_consumer(), installation.start_consumer()
    eventually(lambda: len(partitions_of(new)) == 6 and "revoked: [" in old.log.read_text())
    ingress = installation.start_ingress()
    token = installation.add_partner("restored")
    theirs = partitions_of(new)
    first = [an_order(order_id_in(set(range(12)) - theirs, "first"))]
    second = [an_order(order_id_in(theirs, "second"))]
    backup = backup_of(own_postgres)
    assert installation.post(ingress, token, first, Idempotency_Key="k").counts == (1, 0, 0)
    installation.wait_until_answered()

    old.signal(signal.SIGSTOP)
    try:
        restore(own_postgres, backup)
        assert not installation.rows("restored")
        assert installation.post(ingress, token, second, Idempotency_Key="k").status == 422
    finally:
        old.signal(signal.SIGCONT)
    installation.wait_until_answered()
    assert list(installation.rows("restored")) == [first[0]["order_id"]]
    again = installation.post(ingress, token, first, Idempotency_Key="k")
    assert again.counts == (1, 0, 0)
    assert "new events wait until these offsets are applied again" in new.log.read_text()


def test_new_orders_go_on_by_themselves_after_a_restore(
    install: Callable[[str, str], Installation], bootstrap: str, own_postgres: PostgresServer
) -> None:
    """Nothing hangs: the orders that came meanwhile, in all partitions, are applied when the old ones are."""
    installation = install(bootstrap, own_postgres.url())
    for _ in range(2):
        installation.start_consumer()
    ingress = installation.start_ingress()
    token = installation.add_partner("restored")
    backup = backup_of(own_postgres)
    orders = [an_order(f"B-{number}") for number in range(200)]
    assert installation.post(ingress, token, orders).counts == (200, 0, 0)
    installation.wait_until_answered()
    restore(own_postgres, backup)
    more = [an_order(f"N-{number}") for number in range(200)]
    assert installation.post(ingress, token, [*orders, *more]).counts == (200, 0, 200)
    installation.wait_until_answered()
    assert len(installation.rows("restored")) == 400
