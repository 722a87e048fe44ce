"""The documented sample, byte by byte, as the ten published clients send it (design 3)."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deploy.local.ports import LOOPBACK
from deploy.partners import PartnerRegistry
from deploy.sample import DEMO_PARTNER, DEMO_TOKEN
from support.http import ORDERS_PATH, Connection, RawConnection
from support.installation import Ingress, Installation
from support.orders import an_order
from support.partner_clients import PARTNER_CLIENTS, RUN_BY_MAKE_TEST
from support.published_clients import BODY, CLIENTS, Client

INSERTED = (
    b'{"message": "1 new records inserted. 0 existing records updated. Same value or invalid data skipped 0", '
    b'"skipped": 0, "inserted": 1, "updated": 0}'
)
SKIPPED = (
    b'{"message": "0 new records inserted. 0 existing records updated. Same value or invalid data skipped 1", '
    b'"skipped": 1, "inserted": 0, "updated": 0}'
)
UPDATED = (
    b'{"message": "0 new records inserted. 1 existing records updated. Same value or invalid data skipped 0", '
    b'"skipped": 0, "inserted": 0, "updated": 1}'
)


@pytest.fixture(scope="module")
def ingress(shared_installation: Installation) -> Ingress:
    registry = PartnerRegistry(shared_installation.settings, lambda: datetime.now(UTC), lambda choices: choices[0])
    registry.add(DEMO_PARTNER, token=DEMO_TOKEN)
    shared_installation.start_consumer()
    return shared_installation.start_ingress()


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_the_sample_is_inserted_then_skipped_then_updated(
    shared_installation: Installation, ingress: Ingress, client: Client
) -> None:
    shared_installation.sql("DELETE FROM orders; DELETE FROM request_part")
    changed = BODY.replace(b"1 Main Street", b"2 Main Street")
    assert len(changed) == len(BODY)
    with RawConnection(ingress.port) as first:
        assert _send(first, client, BODY) == INSERTED
        if client.headers.get("Connection") == "close":
            assert first.at_end()
            return
        # the same connection: all of these clients keep it
        assert _send(first, client, BODY) == SKIPPED
        assert _send(first, client, changed) == UPDATED


def test_the_placeholder_in_the_e_mail_is_data(shared_installation: Installation, ingress: Ingress) -> None:
    with RawConnection(ingress.port) as connection:
        _send(connection, CLIENTS[0], BODY)
    assert shared_installation.rows(DEMO_PARTNER)["ORD-1001"]["email"] == "[email\u00a0protected]"


@pytest.mark.parametrize("content_type", [None, "application/x-www-form-urlencoded", "text/plain; charset=latin-1"])
@pytest.mark.parametrize("chunked", [False, True])
def test_the_body_is_json_whatever_the_content_type_says(
    shared_installation: Installation, ingress: Ingress, content_type: str | None, chunked: bool
) -> None:
    shared_installation.sql("DELETE FROM orders; DELETE FROM request_part")
    headers = {"Host": "x"} | ({"Content-Type": content_type} if content_type else {})
    with RawConnection(ingress.port) as connection:
        assert _send(connection, Client("by hand", headers, chunked), BODY) == INSERTED


@pytest.mark.parametrize(
    ("changes", "stored"),
    [
        ({"total_amount": 5000}, {"total_amount": 5000}),
        ({"total_amount": "5000"}, {"total_amount": 5000}),
        ({"total_amount": "-0", "discount": "007"}, {"total_amount": 0, "discount": 7}),
        ({"total_qty": "9223372036854775807"}, {"total_qty": 2**63 - 1}),
        ({"total_qty": None, "phone": None, "address": None}, {"total_qty": None, "phone": None, "address": None}),
    ],
    ids=str,
)
def test_integers_are_numbers_or_strings_and_optionals_may_be_null_or_missing(
    shared_installation: Installation, ingress: Ingress, changes: dict[str, Any], stored: dict[str, Any]
) -> None:
    token = DEMO_TOKEN
    shared_installation.sql("DELETE FROM orders; DELETE FROM request_part")
    with_null = {**an_order("variants"), **changes}
    without = {name: value for name, value in with_null.items() if value is not None}
    for expected, order in (((1, 0, 0), with_null), ((0, 0, 1), without)):
        connection = Connection(ingress.port)
        body = json.dumps({"data": [order], "unknown": {"is": "ignored"}}).encode()
        assert connection.request("POST", ORDERS_PATH, body, {"token": token}).counts == expected
        connection.close()
    row = shared_installation.rows(DEMO_PARTNER)["variants"]
    assert {name: row[name] for name in stored} == stored


def test_clients_as_a_partner_writes_them_get_the_counts(
    shared_installation: Installation, ingress: Ingress, tmp_path: Path
) -> None:
    """Those that `make test` runs, one after the other; `make clients` runs all that a machine can run."""
    shared_installation.sql("DELETE FROM orders; DELETE FROM request_part")
    inserted = []
    for client in PARTNER_CLIENTS:
        if client.folder in RUN_BY_MAKE_TEST and client.way():
            done = client.prepare(tmp_path).run(f"http://{LOOPBACK}:{ingress.port}", DEMO_TOKEN)
            assert done.returncode == 0, done
            answer = json.loads(done.stdout)
            assert answer["inserted"] + answer["skipped"] == 2, answer
            inserted.append(answer["inserted"])
    assert inserted[:2] == [2, 0]
    assert set(shared_installation.rows(DEMO_PARTNER)) == {"ORD-1001", "ORD-1002"}


def _send(connection: RawConnection, client: Client, body: bytes) -> bytes:
    connection.send(client.head(DEMO_TOKEN))
    if client.waits_for_continue:
        assert connection.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue"
    connection.send(client.body(body))
    answer = connection.read_answer()
    assert answer.status == 200, answer
    assert answer.headers["content-type"] == "application/json"
    return answer.body
