"""Idempotency-Key: a repeated request gets the same counts, from every ingress and at any time (design 7)."""

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.event import ReplyTo
from contracts.order import Order
from contracts.request_id import keyed
from contracts.result import Outcome, decode_results
from deploy.local.postgres import PostgresServer
from ingress.idempotency import digest_of
from support.http import Answer, get
from support.installation import Ingress, Installation, headers_of, texts
from support.orders import an_order


@pytest.fixture(scope="module")
def ingresses(shared_installation: Installation) -> list[Ingress]:
    shared_installation.start_consumer()
    return [shared_installation.start_ingress() for _ in range(2)]


@pytest.fixture
def post(shared_installation: Installation, ingresses: list[Ingress]) -> Callable[..., Answer]:
    token = shared_installation.add_partner()

    def call(orders: list[dict[str, Any]], key: str, where: int = 0, token: str = token, **headers: str) -> Answer:
        return shared_installation.post(ingresses[where], token, orders, Idempotency_Key=key, **headers)

    return call


ORDERS = [an_order("a"), an_order("b"), an_order("a", name="2"), an_order("b"), an_order("c", name=" ")]
COUNTS = (2, 1, 2)


def test_the_same_key_gives_the_first_counts_from_any_ingress(post: Callable[..., Answer]) -> None:
    first = post(ORDERS, "k")
    assert first.counts == COUNTS
    assert "idempotent-replayed" not in first.headers
    for where in (0, 1):
        again = post(ORDERS, "k", where)
        assert again.headers["idempotent-replayed"] == "true"
        assert again.body == first.body
    assert post(ORDERS, "another").counts == (0, 2, 3)  # which is what a request without memory says


def test_the_same_key_is_the_same_request_in_quotation_marks(post: Callable[..., Answer]) -> None:
    assert post([an_order("a")], "k").counts == (1, 0, 0)
    assert post([an_order("a")], '"k"').counts == (1, 0, 0)


def test_what_makes_a_body_the_same_is_its_value(post: Callable[..., Answer]) -> None:
    orders = [an_order("a", total_amount=2500, products=[{"product_sku_id": "S", "amount": "12.50", "qty": 2}])]
    same = [{**an_order("a", total_amount="2500"), "unknown": 1}]
    same[0]["products"] = [{"qty": "2", "amount": 12.5, "product_sku_id": "S"}]
    assert post(orders, "k").counts == (1, 0, 0)
    again = post(same, "k", Prefer="return=minimal", Content_Type="text/plain", User_Agent="another")
    assert again.counts == (1, 0, 0)
    assert again.headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize("where", [0, 1])
@pytest.mark.parametrize(
    "other", [[an_order("a", name="2")], [an_order("other")], [*ORDERS, ORDERS[0]], ORDERS[::-1], []], ids=len
)
def test_another_body_under_the_key_is_422_and_never_applied(
    shared_installation: Installation, post: Callable[..., Answer], other: list[dict[str, Any]], where: int
) -> None:
    assert post(ORDERS, "k").counts == COUNTS
    ends = shared_installation.end_offsets(shared_installation.settings.topics.upserts)
    answer = post(other, "k", where)
    assert answer.status == 422
    assert list(answer.json) == ["error"]
    assert shared_installation.end_offsets(shared_installation.settings.topics.upserts) == ends
    assert post(ORDERS, "k").counts == COUNTS


def test_partners_do_not_share_keys(shared_installation: Installation, post: Callable[..., Answer]) -> None:
    assert post([an_order("a")], "k").counts == (1, 0, 0)
    other = shared_installation.add_partner()
    assert post([an_order("z")], "k", token=other).counts == (1, 0, 0)


def test_asked_twice_at_once_both_get_the_same_answer(
    shared_installation: Installation, post: Callable[..., Answer]
) -> None:
    """Through one ingress and through two: applied once, filed once."""
    orders = [an_order(f"t-{number % 300}", name=str(number)) for number in range(500)]
    with ThreadPoolExecutor(8) as pool:
        answers = [
            [pool.submit(post, orders, f"twice-{round_}", where) for where in (0, 1, 0, 1)] for round_ in range(5)
        ]
        for round_, asked in enumerate(answers):
            bodies = {future.result().body for future in asked}
            assert len(bodies) == 1, round_
    shared_installation.wait_until_answered()
    parts = shared_installation.sql(
        "SELECT request_id, outcomes::json AS outcomes FROM request_part "
        "WHERE digest IS NOT NULL AND request_size = 500"
    )
    filed: dict[UUID, list[int]] = {}
    for part in parts:
        filed.setdefault(part["request_id"], []).extend(index for found in part["outcomes"].values() for index in found)
    assert len(filed) == 5
    assert all(sorted(indexes) == list(range(500)) for indexes in filed.values())


def test_two_bodies_under_one_key_at_once_one_of_them_wins_as_a_whole(
    shared_installation: Installation, post: Callable[..., Answer]
) -> None:
    """Their orders are in all partitions, so the claims of four consumers meet. Nothing of the loser is applied."""
    more = [shared_installation.start_consumer() for _ in range(2)]
    bodies = {name: [an_order(f"{name}-{number}") for number in range(40)] for name in ("left", "right")}
    for round_ in range(10):
        with ThreadPoolExecutor() as pool:
            asked = {
                name: pool.submit(post, [{**order, "name": f"{round_}"} for order in orders], f"r-{round_}", where)
                for where, (name, orders) in enumerate(bodies.items())
            }
            answers = {name: future.result() for name, future in asked.items()}
        assert sorted(answer.status for answer in answers.values()) == [200, 422]
        winner = next(name for name, answer in answers.items() if answer.status == 200)
        shared_installation.wait_until_answered()
        names = {
            (row["order_id"].split("-")[0], row["name"])
            for row in shared_installation.sql("SELECT * FROM orders WHERE order_id ~ '^(left|right)-'")
        }
        assert {side for side, name in names if name == str(round_)} == {winner}
    for consumer in more:
        consumer.stop()


def test_a_key_is_kept_over_restarts(installation: Installation) -> None:
    consumer, ingress = installation.start_consumer(), installation.start_ingress()
    token = installation.add_partner("restart")
    assert installation.post(ingress, token, ORDERS, Idempotency_Key="k").counts == COUNTS
    for child in (consumer, ingress.child):
        child.kill()
    again = installation.start_ingress()  # and no consumer: the ledger answers
    assert installation.post(again, token, ORDERS, Idempotency_Key="k").counts == COUNTS
    assert installation.post(again, token, ORDERS[:1], Idempotency_Key="k").status == 422


def test_a_request_that_ended_in_504_is_repeated_with_its_key(installation: Installation) -> None:
    ingress = installation.start_ingress({"ORDERS_REQUEST_TIMEOUT_S": "1"})
    patient = installation.start_ingress()
    token = installation.add_partner("late")
    answer = installation.post(ingress, token, ORDERS, Idempotency_Key="k")
    assert answer.status == 504
    assert answer.headers["location"].endswith(f"/requests/{keyed('k', 'late')}")
    assert installation.post(ingress, token, ORDERS, Idempotency_Key="k").status == 504  # published twice by now
    installation.start_consumer()
    for _ in range(2):
        assert installation.post(patient, token, ORDERS, Idempotency_Key="k").counts == COUNTS
    status = get(patient.port, answer.headers["location"], token=token)
    assert status.json["status"] == "done"


@pytest.mark.parametrize("before", [[], [0], [3, 1]])
def test_an_ingress_that_died_half_way_through_publishing_is_asked_again(
    installation: Installation, before: list[int]
) -> None:
    """Some of the events are there, and applied or not: the answer is that of the first request."""
    ingress = installation.start_ingress()
    token = installation.add_partner("half")
    orders = [an_order(f"h-{number}") for number in range(5)]
    values = [Order.model_validate(order).canonical() for order in orders]
    request_id = keyed("k", "half")
    installation.produce(
        [
            {
                "key": f"h-{index}",
                "value": values[index],
                "headers": headers_of("half", index, request_id, None, 5, digest_of(values)),
            }
            for index in before
        ]
    )
    installation.start_consumer()
    installation.wait_until_answered()
    assert installation.post(ingress, token, orders, Idempotency_Key="k").counts == (5, 0, 0)
    installation.wait_until_answered()
    assert len(installation.rows("half")) == 5
    assert installation.post(ingress, token, orders, Idempotency_Key="k").counts == (5, 0, 0)


def test_without_postgres_the_consumer_sorts_it_out(installation: Installation) -> None:
    """An ingress without a ledger publishes again. The answers are the same, and another body is refused."""
    program = ["env", "-u", "ORDERS_POSTGRES_URL", sys.executable, "-W", "error", "-m", "deploy", "ingress"]
    alone = installation.start_ingress(program=program)
    installation.start_consumer()
    token = installation.add_partner("alone")
    first = installation.post(alone, token, ORDERS, Idempotency_Key="k")
    assert first.counts == COUNTS
    again = installation.post(alone, token, ORDERS, Idempotency_Key="k")
    assert again.body == first.body
    assert again.headers["idempotent-replayed"] == "true"
    refused = installation.post(alone, token, [an_order("z", name="9"), an_order("a", name="9")], Idempotency_Key="k")
    assert refused.status == 422
    installation.wait_until_answered()
    assert {order_id: row["name"] for order_id, row in installation.rows("alone").items()} == {"a": "2", "b": "Ada"}
    letters = installation.records(installation.settings.topics.dlq)
    assert sorted(letter.key() or b"" for letter in letters) == [b"a", b"z"]
    assert {texts(letter)["__connect.errors.exception.class.name"] for letter in letters} == {"IdempotencyConflict"}
    answer = get(alone.port, f"/api/integration/orders/requests/{keyed('k', 'alone')}", token=token)
    assert answer.status == 503


def test_a_restored_postgres_decides_a_contested_key_as_before(
    own_postgres: PostgresServer, install: Callable[[str, str], Installation], bootstrap: str
) -> None:
    """The loser's events come first in their partitions, and the tables do not show that they lost."""
    installation = install(bootstrap, own_postgres.url())
    consumer = installation.start_consumer()
    topics = installation.settings.topics
    request_id, reply_to = uuid4(), ReplyTo(topics.results, 3)

    def produce(order_id: str, digest: str) -> None:
        headers = headers_of("p", 0, request_id, reply_to, 1, digest * 32)
        installation.produce([{"key": order_id, "value": json.dumps(an_order(order_id)), "headers": headers}])
        installation.wait_until_answered()

    produce("winner", "a")
    for number in range(20):  # in every partition the first record is one of the loser
        produce(f"loser-{number}", "b")
    assert list(installation.rows("p")) == ["winner"]
    consumer.stop()
    installation.sql("TRUNCATE orders, request_part, request_key")
    installation.sql("UPDATE consumer_partition SET next_offset = 0")
    installation.start_consumer()
    installation.wait_until_answered()
    assert list(installation.rows("p")) == ["winner"]
    replies = [r for record in installation.records(topics.results) for r in decode_results(record.value())]
    assert {reply.conflict for reply in replies if reply.digest == "b" * 32} == {True}
    assert {reply.conflict for reply in replies if reply.digest == "a" * 32} == {False}
    assert all(reply.outcomes[Outcome.INSERTED] == [0] for reply in replies if reply.digest == "a" * 32)


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256])
def test_an_invalid_key_is_400(shared_installation: Installation, post: Callable[..., Answer], key: str) -> None:
    ends = shared_installation.end_offsets(shared_installation.settings.topics.upserts)
    answer = post([an_order("a")], key)
    assert answer.status == 400
    assert answer.json["path"] == "Idempotency-Key"
    assert shared_installation.end_offsets(shared_installation.settings.topics.upserts) == ends
