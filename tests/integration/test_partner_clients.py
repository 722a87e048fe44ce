"""The clients of docs/clients, as far as `make test` runs them, against a server in a bad mood: they send again."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from subprocess import CompletedProcess

import pytest

from support.moody_server import COUNTS, Mood, MoodyServer, Received
from support.partner_clients import PARTNER_CLIENTS, RUN_BY_MAKE_TEST, Prepared, published_orders

RUN = [client for client in PARTNER_CLIENTS if client.folder in RUN_BY_MAKE_TEST]
NAMES = [client.folder for client in RUN]
TIMEOUT_S = 2
SILENCE, BUSY, TOO_FAST = Mood(0), Mood(503, retry_after_s=2), Mood(429, retry_after_s=1)
Ran = tuple[CompletedProcess[str], list[Received]]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Prepared]:
    folder = tmp_path_factory.mktemp("clients")
    return {client.folder: client.prepare(folder) for client in RUN if client.way()}


def run(client: Prepared, moods: list[Mood]) -> Ran:
    with MoodyServer(moods).running() as server:
        return client.run(server.url, "a-token", TIMEOUT_S), server.received


@pytest.fixture(scope="module")
def patient(prepared: dict[str, Prepared]) -> Iterator[dict[str, Ran]]:
    """All at the same time: each waits most of it."""
    with ThreadPoolExecutor(len(RUN)) as threads:
        ran = threads.map(lambda client: run(client, [SILENCE, BUSY, TOO_FAST]), prepared.values())
        yield dict(zip(prepared, ran, strict=True))


def of(name: str, ran: dict[str, Ran]) -> Ran:
    if name not in ran:
        pytest.skip(f"not here: {next(client for client in RUN if client.folder == name).missing()}")
    return ran[name]


@pytest.mark.parametrize("name", NAMES)
def test_a_client_sends_the_same_key_again_after_a_time_out_a_503_and_a_429(name: str, patient: dict[str, Ran]) -> None:
    done, received = of(name, patient)
    assert (done.returncode, json.loads(done.stdout)) == (0, COUNTS), done
    assert [request.status for request in received if request.status] == [503, 429, 200]
    assert received[0].status == 0
    assert len({request.headers["idempotency-key"] for request in received}) == 1
    assert all(request.orders == published_orders() for request in received)
    assert all(request.headers["token"] == "a-token" for request in received)
    assert all(request.headers["content-type"].startswith("application/json") for request in received)


@pytest.mark.parametrize("name", NAMES)
def test_a_client_waits_as_long_as_it_is_told(name: str, patient: dict[str, Ran]) -> None:
    _, received = of(name, patient)
    for before, after in pairwise(received):
        told_s = {503: BUSY, 429: TOO_FAST}.get(before.status, SILENCE).retry_after_s or 0
        assert after.received_s - before.answered_s > told_s * 0.9  # clocks of two processes, whole seconds


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("mood", "said"),
    [
        (Mood(400, {"path": "data[0].name", "error": "Field required"}), "data[0].name"),
        (Mood(401, {"error": "The token is unknown."}), "token"),
        (Mood(422, {"error": "Another body."}), "422"),
    ],
    ids=["400", "401", "422"],
)
def test_a_client_shows_a_refusal_and_does_not_send_again(
    name: str, mood: Mood, said: str, prepared: dict[str, Prepared]
) -> None:
    if name not in prepared:
        pytest.skip(f"not here: {next(client for client in RUN if client.folder == name).missing()}")
    done, received = run(prepared[name], [mood])
    assert (done.returncode, done.stdout, len(received)) == (1, "", 1)
    assert said in done.stderr
