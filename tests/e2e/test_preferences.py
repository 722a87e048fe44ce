"""Prefer, 202, and the status of a request (design 3, RFC 7240)."""

import json
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.event import ReplyTo
from contracts.limits import VIOLATIONS_MAX
from contracts.request_id import tagged
from deploy.local.kafka import KafkaBroker
from deploy.local.postgres import PostgresServer
from support.http import ORDERS_PATH, Answer, Connection, get
from support.installation import Ingress, Installation, headers_of
from support.orders import an_order
from support.waiting import eventually

STATUS = f"{ORDERS_PATH}/requests/"


@pytest.fixture(scope="module")
def ingress(shared_installation: Installation) -> Ingress:
    shared_installation.start_consumer()
    return shared_installation.start_ingress()


@pytest.fixture
def token(shared_installation: Installation, ingress: Ingress) -> str:
    return shared_installation.add_partner()


@pytest.fixture
def post(shared_installation: Installation, ingress: Ingress, token: str) -> Callable[..., Answer]:
    def call(orders: list[dict[str, Any]], prefer: str, **headers: str) -> Answer:
        return shared_installation.post(ingress, token, orders, Prefer=prefer, **headers)

    return call


def done(ingress: Ingress, token: str, where: str) -> Any:
    """The status of the request, when it is done."""

    def read() -> Any:
        answer = get(ingress.port, where, token=token)
        assert answer.status == 200
        return answer.json if answer.json["status"] == "done" else None

    return eventually(read)


def test_server_timing_says_where_the_time_went(post: Callable[..., Answer]) -> None:
    answer = post([an_order("a"), an_order("b")], "server-timing")
    assert answer.counts == (2, 0, 0)
    parts = dict(part.split(";dur=") for part in answer.headers["server-timing"].split(", "))
    assert list(parts) in (["read", "publish", "apply", "reply"], ["read", "publish", "reply"])
    assert all(float(duration_ms) >= 0 for duration_ms in parts.values())
    assert float(parts["publish"]) > 0


def test_a_dry_run_tells_what_the_request_then_does(
    shared_installation: Installation, ingress: Ingress, token: str, post: Callable[..., Answer]
) -> None:
    topic = shared_installation.settings.topics.upserts
    assert post([an_order("a"), an_order("b")], "").counts == (2, 0, 0)
    orders = [an_order("a"), an_order("b", name="2"), an_order("c"), an_order("c"), an_order("d", discount=-1)]
    before = shared_installation.end_offsets(topic)
    with closing(Connection(ingress.port)) as connection:
        body = json.dumps({"data": orders}).encode()
        headers = {"token": token, "Prefer": "return=representation"}
        told = connection.request("POST", f"{ORDERS_PATH}/dry-run", body=body, headers=headers)
    assert shared_installation.end_offsets(topic) == before
    assert told.counts == (1, 1, 3)
    assert post(orders, "return=representation").json == told.json


def test_a_partner_lists_what_it_sent(ingress: Ingress, token: str, post: Callable[..., Answer]) -> None:
    for number in range(3):
        assert post([an_order(f"{number}"), an_order("a", discount=-1)], "").counts == (1, 0, 1)
    first = get(ingress.port, f"{STATUS}?since=2026-01-01T00:00:00Z&limit=2".replace("/?", "?"), token=token)
    second = get(ingress.port, first.json["next"], token=token)
    requests = first.json["requests"] + second.json["requests"]
    assert (first.status, len(first.json["requests"]), len(requests)) == (200, 2, 3)
    assert first.headers["link"] == f'<{first.json["next"]}>; rel="next"'
    assert second.json["next"] is None
    assert [each["published_at"] for each in requests] == sorted(
        (each["published_at"] for each in requests), reverse=True
    )
    for each in requests:
        assert (each["status"], each["size"], each["inserted"], each["skipped"]) == ("done", 2, 1, 1)
        status = get(ingress.port, STATUS + each["request_id"], token=token).json
        assert status["inserted"] == 1


def test_respond_async_is_202_with_a_location_that_tells_the_outcomes(
    ingress: Ingress, token: str, post: Callable[..., Answer]
) -> None:
    orders = [an_order("a"), an_order("b"), an_order("a", name="2"), an_order("b"), an_order("c", discount=-1)]
    answer = post(orders, "respond-async")
    assert answer.status == 202
    assert answer.headers["preference-applied"] == "respond-async"
    where = answer.headers["location"]
    assert answer.json == {"request_id": where.removeprefix(STATUS), "status": "pending"}
    status = done(ingress, token, where)
    assert status == {
        "request_id": where.removeprefix(STATUS),
        "status": "done",
        "size": 5,
        "skipped": 2,
        "inserted": 2,
        "updated": 1,
        "orders": [
            {"index": index, "outcome": outcome}
            for index, outcome in enumerate(["inserted", "inserted", "updated", "unchanged", "invalid"])
        ],
    }


def test_a_request_of_which_nothing_is_published_is_answered_at_once(post: Callable[..., Answer]) -> None:
    assert post([], "respond-async").counts == (0, 0, 0)
    assert post([an_order("a", name="")], "respond-async, wait=5").counts == (0, 0, 1)


def test_wait_answers_with_the_counts_if_they_come_in_time(post: Callable[..., Answer]) -> None:
    answer = post([an_order("a")], "respond-async, wait=200")
    assert answer.counts == (1, 0, 0)
    assert answer.headers["preference-applied"] == "respond-async, wait=200"
    assert list(answer.json) == ["message", "skipped", "inserted", "updated"]


def test_without_prefer_the_answer_says_nothing_of_it(post: Callable[..., Answer]) -> None:
    answer = post([an_order("a")], "something-else; of=interest, return=minimal, wait=soon")
    assert answer.counts == (1, 0, 0)
    assert "preference-applied" not in answer.headers
    assert list(answer.json) == ["message", "skipped", "inserted", "updated"]


def test_a_wait_without_outcomes_ends_in_202_and_the_status_stays_true_over_restarts(
    installation: Installation,
) -> None:
    """Without a consumer it is pending, then done. Every ingress answers the same, and other partners learn nothing."""
    ingress = installation.start_ingress()
    token, other = installation.add_partner("waits"), installation.add_partner("other")
    orders = [an_order(f"w-{number}") for number in range(50)] + [an_order("w-x", name=" ")]
    with closing(Connection(ingress.port)) as connection:
        answer = connection.post(token, orders, Prefer="wait=1")
    assert answer.status == 202
    assert answer.headers["preference-applied"] == "wait=1"
    where = answer.headers["location"]
    ingress.child.kill()
    again = installation.start_ingress()
    pending = get(again.port, where, token=token)
    assert pending.status == 200
    assert pending.headers["retry-after"] == "1"
    assert pending.json["status"] == "pending"
    assert pending.json["size"] is None
    assert get(again.port, where, token=other).status == 404
    assert get(again.port, where).status == 401

    with closing(Connection(again.port)) as connection:
        unanswered = connection.post(token, [an_order("w-0")], Prefer="respond-async")
    installation.start_consumer()
    status = done(again, token, where)
    assert (status["inserted"], status["updated"], status["skipped"], status["size"]) == (50, 0, 1, 51)
    assert status["orders"][-1] == {"index": 50, "outcome": "invalid"}
    assert done(again, token, unanswered.headers["location"])["skipped"] == 1
    assert get(again.port, where, token=other).status == 404


def test_a_request_of_another_writer_is_partly_done_until_its_last_event_came(
    installation: Installation,
) -> None:
    ingress = installation.start_ingress()
    token, other = installation.add_partner("writer"), installation.add_partner("else")
    installation.start_consumer()
    request_id = uuid4()

    def produce(index: int) -> None:
        headers = headers_of("writer", index, request_id, None, 2)
        installation.produce([{"key": f"f-{index}", "value": json.dumps(an_order(f"f-{index}")), "headers": headers}])
        installation.wait_until_answered()

    assert get(ingress.port, f"{STATUS}{request_id}", token=token).status == 404
    produce(1)
    partial = get(ingress.port, f"{STATUS}{request_id}", token=token).json
    assert (partial["status"], partial["size"], partial["inserted"]) == ("partial", 2, 1)
    assert partial["orders"] == [{"index": 1, "outcome": "inserted"}]
    produce(0)
    assert get(ingress.port, f"{STATUS}{request_id}", token=token).json["status"] == "done"
    assert get(ingress.port, f"{STATUS}{request_id}", token=other).status == 404


def test_a_request_that_was_forgotten_is_not_called_pending(
    shared_installation: Installation, ingress: Ingress
) -> None:
    """Its id shows that this partner got it 8 days ago. A new id is pending."""
    token = shared_installation.add_partner("forgotten")
    days = {day: tagged(_id_of(time.time() - day * 86_400), "forgotten") for day in (0, 8)}
    statuses = {day: get(ingress.port, f"{STATUS}{request_id}", token=token).status for day, request_id in days.items()}
    assert statuses == {0: 200, 8: 404}


def _id_of(time_s: float) -> UUID:
    """A UUIDv7 of this time."""
    return UUID(int=(int(time_s * 1000) << 80) | (7 << 76) | (2 << 62) | 5)


@pytest.mark.parametrize("name", ["x", str(UUID(int=7)), str(UUID(int=0xABCDEF)).upper(), "%00", "a/b"])
def test_what_is_not_a_request_of_this_partner_is_404(ingress: Ingress, token: str, name: str) -> None:
    answer = get(ingress.port, STATUS + name, token=token)
    assert answer.status == 404
    assert list(answer.json) == ["error"]


def test_the_status_has_get_only(ingress: Ingress, token: str) -> None:
    with closing(Connection(ingress.port)) as connection:
        assert connection.request("POST", f"{STATUS}{uuid4()}", b"{}", {"token": token}).status == 405


def test_respond_async_is_never_202_before_kafka_has_it(
    install: Callable[[str, str], Installation], own_kafka: KafkaBroker, database: str
) -> None:
    """If the broker hangs it is 504, because the orders may be in Kafka, and not 202, because they may be not."""
    installation = install(own_kafka.bootstrap, database)
    ingress = installation.start_ingress({"ORDERS_REQUEST_TIMEOUT_S": "2"})
    token = installation.add_partner()
    own_kafka.child.signal(signal.SIGSTOP)
    try:
        answer = installation.post(ingress, token, [an_order("a")], Prefer="respond-async")
        assert answer.status in (503, 504)
        assert "location" in answer.headers or answer.status == 503
    finally:
        own_kafka.child.signal(signal.SIGCONT)


def test_with_postgres_down_orders_are_accepted_and_the_status_is_503(
    install: Callable[[str, str], Installation], bootstrap: str, own_postgres: PostgresServer
) -> None:
    installation = install(bootstrap, own_postgres.url())
    ingress = installation.start_ingress()
    installation.start_consumer()
    token = installation.add_partner("down")
    assert installation.post(ingress, token, [an_order("a")], Idempotency_Key="k").counts == (1, 0, 0)
    own_postgres.kill()
    keyed = {"Idempotency_Key": "k2", "Prefer": "respond-async"}
    answer = installation.post(ingress, token, [an_order("b")], **keyed)
    assert answer.status == 202
    where = answer.headers["location"]
    unknown = get(ingress.port, where, token=token)
    assert unknown.status == 503
    assert unknown.headers["retry-after"] == "1"
    with ThreadPoolExecutor() as pool:
        again = pool.submit(installation.post, ingress, token, [an_order("a")], Idempotency_Key="k")
        own_postgres.start()
        assert again.result().counts == (1, 0, 0)
    eventually(lambda: get(ingress.port, where, token=token).status == 200)
    assert done(ingress, token, where)["inserted"] == 1
    assert installation.post(ingress, token, [an_order("b")], **keyed).counts == (1, 0, 0)


def test_representation_tells_each_order_and_why_it_was_skipped(post: Callable[..., Answer]) -> None:
    orders = [an_order("a"), an_order("a"), an_order("b", email="\t"), an_order("a", name="2")]
    for _ in range(2):
        answer = post(orders, "return=representation", Idempotency_Key="k")
        assert answer.headers["preference-applied"] == "return=representation"
        assert list(answer.json) == ["message", "skipped", "inserted", "updated", "orders"]
        assert answer.json["orders"] == [
            {"index": 0, "order_id": "a", "outcome": "inserted"},
            {"index": 1, "order_id": "a", "outcome": "unchanged"},
            {"index": 2, "order_id": "b", "outcome": "invalid", "reason": "email is blank"},
            {"index": 3, "order_id": "a", "outcome": "updated"},
        ]


def test_representation_shows_what_the_tables_refused(installation: Installation) -> None:
    installation.sql("ALTER TABLE orders ADD CHECK (name <> 'Mallory')")
    ingress = installation.start_ingress()
    installation.start_consumer()
    token = installation.add_partner()
    orders = [an_order("a", name="Mallory"), an_order("b")]
    answer = installation.post(ingress, token, orders, Prefer="return=representation")
    assert answer.json["orders"][0]["outcome"] == "invalid"
    assert "dead-letter topic" in answer.json["orders"][0]["reason"]


def test_strict_lists_every_violation_in_document_order(
    shared_installation: Installation, post: Callable[..., Answer]
) -> None:
    ends = shared_installation.end_offsets(shared_installation.settings.topics.upserts)
    wrong = {**an_order("b", email=None), "name": 5, "colour": "red", "discount": "-1"}
    orders = [
        an_order("a", nonsense=1),
        wrong,
        an_order("c", products=[{"product_sku_id": "", "amount": -1, "qty": 0}]),
    ]
    answer = post(orders, "handling=strict")
    assert answer.status == 400
    assert [(item["path"], item["error"]) for item in answer.json["violations"]] == [
        ("data[0].nonsense", "Extra inputs are not permitted"),
        ("data[1].name", "Input should be a valid string"),
        ("data[1].discount", "Input is negative: such an order is skipped"),
        ("data[1].colour", "Extra inputs are not permitted"),
        ("data[1].email", "Field required"),
        ("data[2].products[0].product_sku_id", "Input is blank: such an order is skipped"),
        ("data[2].products[0].amount", "Input is negative: such an order is skipped"),
        ("data[2].products[0].qty", "Input is below 1: such an order is skipped"),
    ]
    assert {name: answer.json[name] for name in ("path", "error")} == answer.json["violations"][0]
    assert shared_installation.end_offsets(shared_installation.settings.topics.upserts) == ends


def test_strict_passes_what_is_right(post: Callable[..., Answer]) -> None:
    answer = post([an_order("a", phone=None)], "handling=strict")
    assert answer.counts == (1, 0, 0)
    assert answer.headers["preference-applied"] == "handling=strict"


@pytest.mark.parametrize(
    ("body", "path", "violations"),
    [
        (b"{", "", 1),
        (b"[]", "", 1),
        (b"{}", "data", 1),
        (b'{"data": [], "more": 1, "others": 2}', "more", 2),
        (b'{"data": [null, 5]}', "data[0]", 2),
        (b'{"data": [NaN]}', "", 1),
        (b'{"data": [{"name": "\\u0000"}]}', "data[0].name", 8),
        (b'{"data": [' + b"{}," * 1000 + b"{}]}", "data[0].name", VIOLATIONS_MAX),
        (b'{"data": [{"products": [' + b"0," * 900_000 + b"0]}]}", "", 1),
        (b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "", 1),
    ],
    ids=range(10),
)
def test_strict_is_bounded_and_never_a_500(
    ingress: Ingress, token: str, body: bytes, path: str, violations: int
) -> None:
    with closing(Connection(ingress.port)) as connection:
        answer = connection.request("POST", ORDERS_PATH, body, {"token": token, "Prefer": "handling=strict"})
    assert answer.status == 400
    assert (answer.json["path"], len(answer.json["violations"])) == (path, violations)


@pytest.mark.usefixtures("ingress")
def test_a_writer_may_ask_for_the_result_of_a_keyed_event_at_its_own_place(shared_installation: Installation) -> None:
    """Everybody who asks for the same event gets the result at the place that he named."""
    topics = shared_installation.settings.topics
    request_id = uuid4()
    for partition in (1, 2):
        headers = headers_of("asker", 0, request_id, ReplyTo(topics.results, partition), 1, "e" * 32)
        shared_installation.produce([{"key": "a", "value": json.dumps(an_order("a")), "headers": headers}])
    shared_installation.wait_until_answered()
    replies = [
        record for record in shared_installation.records(topics.results) if record.key() == str(request_id).encode()
    ]
    assert {record.partition() for record in replies} == {1, 2}
    assert {json.loads(record.value() or b"")["outcomes"]["inserted"] == [0] for record in replies} == {True}
