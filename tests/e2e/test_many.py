"""10,000 orders through processes that start and die (P3), and the memory of these processes."""

import json
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from deploy.local.child import Child
from support.http import ORDERS_PATH, Answer, Connection
from support.installation import Ingress, Installation, texts
from support.model import replay
from support.orders import an_order
from support.waiting import HANG_S, eventually

CONNECTIONS, REQUESTS, ORDERS = 8, 25, 50
TOTAL = CONNECTIONS * REQUESTS * ORDERS
INGRESS_MB, CONSUMER_MB = 150, 200


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_nothing_is_lost_or_applied_twice_while_consumers_join_and_die(
    installation: Installation, protocol: str
) -> None:
    variables = {"ORDERS_GROUP_PROTOCOL": protocol}
    ingresses = [installation.start_ingress() for _ in range(2)]
    tokens = [installation.add_partner(f"many-{n}") for n in range(2)]
    consumers = [installation.start_consumer(variables) for _ in range(2)]
    topic = installation.settings.topics.upserts

    def published() -> int:
        return sum(installation.end_offsets(topic).values())

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        joined, killed = threading.Event(), threading.Event()
        gates = {REQUESTS * 2 // 3: joined, REQUESTS - 1: killed}  # what has to happen before this request is posted
        work = [
            pool.submit(_post_many, ingresses[number % 2], tokens[number // 2 % 2], number, gates)
            for number in range(CONNECTIONS)
        ]
        eventually(lambda: published() > TOTAL // 5)
        consumers.append(installation.start_consumer(variables))
        joined.set()
        eventually(lambda: published() > TOTAL * 2 // 3)
        consumers[0].kill()
        killed.set()
        answers = {request: answer for future in work for request, answer in future.result().items()}
    installation.wait_until_answered()

    assert {answer.status for answer in answers.values()} == {200}
    records = installation.records(topic)
    assert len(records) == TOTAL
    expected_rows, expected_counts = replay(records)
    # each request carries its name in user_id, so that its answer is found again
    names = {texts(r)["ce_id"].partition("/")[0]: json.loads(r.value() or b"")["user_id"] for r in records}
    assert {names[request_id]: counts for request_id, counts in expected_counts.items()} == {
        request: Counter({outcome: answer.json[outcome] for outcome in ("inserted", "updated", "skipped")})
        for request, answer in answers.items()
    }
    rows = {(row["partner_id"], row["order_id"]): row for row in installation.sql("SELECT * FROM orders")}
    last = {(texts(r)["ce_source"].removeprefix("/partners/"), (r.key() or b"").decode()): r for r in records}
    assert rows.keys() == expected_rows.keys() == last.keys()
    for key, order in expected_rows.items():
        assert {name: rows[key][name] for name in order} == order
        # the row has the place of the newest event that changed it, which is the last one or an earlier one
        assert rows[key]["event_partition"] == last[key].partition()
        assert rows[key]["event_offset"] <= (last[key].offset() or 0)
    assert sum(answer.json["inserted"] for answer in answers.values()) == len(rows)
    assert not installation.records(installation.settings.topics.dlq)
    for ingress in ingresses:
        assert peak_mb(ingress.child) < INGRESS_MB
    for consumer in consumers[1:]:
        assert peak_mb(consumer) < CONSUMER_MB


def test_memory_stays_bounded_under_large_bodies_and_a_large_backlog(installation: Installation) -> None:
    """8 connections with bodies near the limit, and then 100 MB of events to catch up with."""
    ingress = installation.start_ingress({"ORDERS_REQUEST_TIMEOUT_S": "1"})
    token = installation.add_partner("heavy")
    body = [an_order(f"H-{n}", address="x" * 3500) for n in range(1000)]

    def post(number: int) -> list[int]:
        with closing(Connection(ingress.port)) as connection:
            return [connection.post(token, body).status for _ in range(5)]

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        statuses = [
            status for future in [pool.submit(post, n) for n in range(CONNECTIONS)] for status in future.result()
        ]
    assert set(statuses) <= {429, 503, 504}
    assert statuses.count(504) >= 8
    assert peak_mb(ingress.child) < INGRESS_MB
    consumer = installation.start_consumer()
    installation.wait_until_answered()
    assert len(installation.rows("heavy")) == 1000
    assert peak_mb(consumer) < CONSUMER_MB


PRODUCT = {"product_sku_id": "", "amount": "0", "qty": 1}
HEAVY: dict[str, tuple[bytes, int]] = {
    # a body of nearly 4 MiB, and its answer
    "many products": (
        json.dumps({"data": [an_order(f"P-{n}", products=[PRODUCT] * 5500) for n in range(11)]}).encode(),
        200,
    ),
    "many values that are ignored": (b'{"data":[{"x":[' + b",".join([b"{}"] * 190_000) + b"]}]}", 400),
    "more values than are allowed": (b'{"data":[{"x":[' + b",".join([b"{}"] * 1_390_000) + b"]}]}", 400),
    "deep": (b'{"data":[],"x":' + b"[" * 900 + b'"NaN",' + b'"aa",' * 800_000 + b"1" + b"]" * 900 + b"}", 400),
}


def test_memory_of_the_ingress_stays_bounded_whatever_is_posted(installation: Installation) -> None:
    """Errors, and orders of many products: in Python they take many times as much memory as their bytes."""
    installation.start_consumer()
    ingress = installation.start_ingress()
    token = installation.add_partner("dense")

    def post(body: bytes) -> int:
        with closing(Connection(ingress.port)) as connection:
            return connection.request("POST", ORDERS_PATH, body, {"token": token}).status

    for body, status in HEAVY.values():
        with ThreadPoolExecutor() as pool:
            assert {future.result() for future in [pool.submit(post, body) for _ in range(4)]} == {status}
    assert peak_mb(ingress.child) < INGRESS_MB


def _post_many(ingress: Ingress, token: str, number: int, gates: dict[int, threading.Event]) -> dict[str, Answer]:
    """Few hot keys and many cold ones, from several connections at once."""
    chosen = random.Random(number)
    answers = {}
    with closing(Connection(ingress.port)) as connection:
        for request in range(REQUESTS):
            if request in gates:
                assert gates[request].wait(HANG_S)
            name = f"{number}/{request}"
            answers[name] = connection.post(token, [_order(chosen, name) for _ in range(ORDERS)])
    return answers


def _order(chosen: random.Random, request: str) -> dict[str, object]:
    key = chosen.randrange(20) if chosen.random() < 0.3 else chosen.randrange(4000)
    return an_order(f"K-{key}", name=f"{chosen.randrange(3)}", user_id=request)


def peak_mb(process: Child) -> float:
    """The highest resident memory of the process, in MB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6
