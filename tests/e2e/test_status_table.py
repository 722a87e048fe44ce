"""Every line of the status table, as bytes on a socket. A 4xx or 503 publishes nothing (P5)."""

import gzip
import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from ingress.body import BODY_BYTES_MAX
from ingress.protocol import HEADER_BYTES_MAX
from support.documented import require_documented
from support.http import ORDERS_PATH, Answer, Connection, RawConnection
from support.installation import Ingress, Installation
from support.orders import an_order
from support.waiting import HANG_S, eventually


@pytest.fixture(scope="module")
def ingress(shared_installation: Installation) -> Ingress:
    shared_installation.start_consumer()
    return shared_installation.start_ingress({"ORDERS_BODY_TIMEOUT_S": str(HANG_S)})


@pytest.fixture(scope="module")
def token(shared_installation: Installation, ingress: Ingress) -> str:
    return shared_installation.add_partner("table")


@pytest.fixture
def nothing_published(shared_installation: Installation) -> Iterator[None]:
    topic = shared_installation.settings.topics.upserts
    before = shared_installation.end_offsets(topic)
    yield
    assert shared_installation.end_offsets(topic) == before


def request(
    token: str | None, body: bytes, *, path: str = ORDERS_PATH, method: str = "POST", framing: str | None = None
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", framing or f"Content-Length: {len(body)}"]
    lines += [f"token: {token}"] if token is not None else []
    return "\r\n".join([*lines, "", ""]).encode() + body


def ask(ingress: Ingress, data: bytes) -> Answer:
    method, target, _ = data.decode("latin-1").split(" ", 2)
    with RawConnection(ingress.port) as connection:
        connection.send(data)
        answer = connection.read_answer()
    require_documented(method, target, answer.status, answer.headers, answer.body)
    return answer


def batch(*orders: object) -> bytes:
    return json.dumps({"data": orders}).encode()


GOOD = batch(an_order("good"))

STRUCTURE: dict[str, tuple[bytes, str]] = {
    "no body": (b"", ""),
    "not JSON": (b"{", ""),
    "trailing characters": (GOOD + b"x", ""),
    "a list": (b"[]", ""),
    "no data": (b"{}", "data"),
    "data is an object": (b'{"data": {}}', "data"),
    "an order that is a number": (b'{"data": [1]}', "data[0]"),
    "a missing field": (batch({k: v for k, v in an_order().items() if k != "email"}), "data[0].email"),
    "a required field that is null": (batch({**an_order(), "name": None}), "data[0].name"),
    "a number for a string": (batch(an_order(name=1)), "data[0].name"),
    "the first in document order": (batch(an_order(), an_order(user_id=[], name=1)), "data[1].name"),
    "the first order counts": (batch(an_order(discount="x"), an_order(name=1)), "data[0].discount"),
    "a fraction for an integer": (batch(an_order(total_amount=1.5)), "data[0].total_amount"),
    "a float for an integer": (batch(an_order(total_amount=5.0)), "data[0].total_amount"),
    "a boolean for an integer": (batch(an_order(total_amount=True)), "data[0].total_amount"),
    "an empty string for an integer": (batch(an_order(total_qty="")), "data[0].total_qty"),
    "spaces in an integer": (batch(an_order(total_qty=" 5")), "data[0].total_qty"),
    "an integer beyond 64 bits": (batch(an_order(discount=2**63)), "data[0].discount"),
    "a string beyond 64 bits": (batch(an_order(discount=str(2**63))), "data[0].discount"),
    "products missing": (batch(an_order(products=None)), "data[0].products"),
    "an amount that is no number": (
        batch(an_order(products=[{"product_sku_id": "S", "amount": "1,5", "qty": 1}])),
        "data[0].products[0].amount",
    ),
    "NaN": (GOOD.replace(b"2500", b"NaN"), ""),
    "Infinity": (GOOD.replace(b"2500", b"-Infinity"), ""),
    "a NUL in a string": (batch(an_order(name="a\0b")), "data[0].name"),
    "a lone surrogate": (GOOD.replace(b'"Ada"', b'"\\ud800"'), "data[0].name"),
    "Latin-1": (GOOD.replace(b"Ada", b"Jos\xe9"), "data[0].name"),
    "UTF-16": (GOOD.decode().encode("utf-16"), ""),
    "a nesting bomb": (b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", ""),
    "a nesting bomb in an unknown field": (b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b', "data": []}', ""),
    "1,001 orders": (batch(*[an_order(str(number)) for number in range(1001)]), "data"),
    "an order above 256 KiB": (batch(an_order("1"), an_order("2", name="x" * 262_144)), "data[1]"),
    "an order_id above 512 characters": (batch(an_order("x" * 513)), "data[0].order_id"),
}


@pytest.mark.usefixtures("nothing_published")
@pytest.mark.parametrize("name", STRUCTURE)
def test_400_names_the_first_violation(ingress: Ingress, token: str, name: str) -> None:
    body, path = STRUCTURE[name]
    answer = ask(ingress, request(token, body))
    assert answer.status == 400, answer
    assert list(answer.json) == ["path", "error"]
    assert answer.json["path"] == path
    assert 0 < len(answer.json["error"]) < 500


@pytest.mark.usefixtures("nothing_published")
@pytest.mark.parametrize(
    "data",
    [
        b"GARBAGE\r\n\r\n",
        request(None, b"", framing="Content-Length: x"),
        request(None, GOOD, framing=f"Content-Length: {len(GOOD)}\r\nTransfer-Encoding: chunked"),
        request(None, b"zz\r\n", framing="Transfer-Encoding: chunked"),
        b"POST / HTTP/1.1\r\nHost: x\r\nx: " + b"a" * (3 * HEADER_BYTES_MAX),
    ],
    ids=["garbage", "bad length", "smuggled: two lengths", "bad chunk", "endless head"],
)
def test_400_for_what_is_not_http(ingress: Ingress, token: str, data: bytes) -> None:
    with RawConnection(ingress.port) as connection:
        connection.send(data.replace(b"Host: x", f"Host: x\r\ntoken: {token}".encode()))
        answer = connection.read_answer()
        assert answer.status == 400
        assert list(answer.json) == ["path", "error"]
        assert connection.at_end()


def test_both_halves_of_a_smuggled_request_are_refused(
    shared_installation: Installation, ingress: Ingress, token: str
) -> None:
    """The request before it on the same connection is answered."""
    hidden = request(token, batch(an_order("hidden")))
    smuggled = request(token, b"0\r\n\r\n" + hidden, framing="Content-Length: 5\r\nTransfer-Encoding: chunked")
    with RawConnection(ingress.port) as connection:
        connection.send(request(token, batch(an_order("before"))) + smuggled)
        assert connection.read_answer().counts == (1, 0, 0)
        assert connection.at_end()
    assert list(shared_installation.rows("table")) == ["before"]


UNAUTHORIZED: dict[str, Callable[[str], list[str]]] = {
    "missing": lambda token: [],
    "unknown": lambda token: ["ord_live_00000000_000000000000000000000000000000000"],
    "mistyped": lambda token: [token[:-1] + ("0" if token[-1] != "0" else "1")],
    "empty": lambda token: [""],
    "sent twice": lambda token: [token, token],
    "very long": lambda token: [token * 100],
}


@pytest.mark.usefixtures("nothing_published")
@pytest.mark.parametrize("name", UNAUTHORIZED)
def test_401_is_one_and_the_same_answer(ingress: Ingress, token: str, name: str) -> None:
    tokens = "".join(f"token: {value}\r\n" for value in UNAUTHORIZED[name](token))
    data = f"POST {ORDERS_PATH} HTTP/1.1\r\nHost: x\r\n{tokens}Content-Length: {len(GOOD)}\r\n\r\n".encode() + GOOD
    answer = ask(ingress, data)
    assert answer.status == 401
    assert answer.json == {"error": "The header `token` should be the token of a partner, once."}


@pytest.mark.usefixtures("nothing_published")
def test_401_for_a_revoked_token_within_two_seconds(shared_installation: Installation, ingress: Ingress) -> None:
    """The best of several tries counts, because a busy machine is not always that fast."""
    tokens = [shared_installation.add_partner("rotated")]
    registry = shared_installation.registry()  # it reads the partners once, when it is made

    def seconds_until(status: int, token: str) -> float:
        started_s = time.monotonic()
        eventually(lambda: ask(ingress, request(token, batch())).status == status)
        return time.monotonic() - started_s

    def is_fast() -> bool:
        tokens.append(registry.rotate("rotated"))
        old, new = tokens[-2:]
        until_it_is_known_s = seconds_until(200, new)
        assert ask(ingress, request(old, batch())).status == 200
        registry.revoke("rotated", old.split("_")[2])
        until_it_is_revoked_s = seconds_until(401, old)
        assert ask(ingress, request(new, batch())).status == 200
        return max(until_it_is_known_s, until_it_is_revoked_s) < 2

    eventually(is_fast, not_yet=())


@pytest.mark.usefixtures("nothing_published")
def test_404_and_405(ingress: Ingress, token: str) -> None:
    for path in ("/", "/api/integration/orders/", "/api/integration/order", "/api/integration/orders/request"):
        answer = ask(ingress, request(token, GOOD, path=path))
        assert (answer.status, list(answer.json)) == (404, ["error"]), path
        assert (f"should be {ORDERS_PATH}," in answer.json["error"]) == (path == f"{ORDERS_PATH}/")
    answer = ask(ingress, request(token, b"", path=f"{ORDERS_PATH}/requests/x/", method="GET"))
    assert (answer.status, "requests/{request_id}, with no slash" in answer.json["error"]) == (404, True)
    for path, name in ((f"{ORDERS_PATH}/", "slash-at-the-end"), (ORDERS_PATH, "method-not-allowed")):
        answer = ask(ingress, request(token, b"", path=path, method="GET", framing="Accept: application/problem+json"))
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json["type"] == f"/docs/errors#{name}"
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        answer = ask(ingress, request(token, GOOD, method=method))
        assert (answer.status, list(answer.json), answer.headers["allow"]) == (405, ["error"], "POST")


@pytest.mark.usefixtures("nothing_published")
@pytest.mark.parametrize("path", [f"{ORDERS_PATH}%0a", f"{ORDERS_PATH}/requests/x%0a", f"{ORDERS_PATH}%00"])
def test_404_for_a_path_that_only_looks_like_ours(ingress: Ingress, token: str, path: str) -> None:
    method = "GET" if "requests" in path else "POST"
    assert ask(ingress, request(token, GOOD, path=path, method=method)).status == 404


@pytest.mark.usefixtures("nothing_published")
@pytest.mark.parametrize(("path", "method"), [("/", "POST"), (ORDERS_PATH, "PUT")])
def test_404_and_405_do_not_wait_for_a_body_that_may_never_come(
    ingress: Ingress, token: str, path: str, method: str
) -> None:
    """After Expect: 100-continue the next bytes may be the body or the next request, and nothing shows which."""
    head = request(token, b"", path=path, method=method, framing="Expect: 100-continue\r\nContent-Length: 9")
    with RawConnection(ingress.port) as connection:
        connection.send(head)
        assert connection.read_answer().headers["connection"] == "close"
        assert connection.at_end()


@pytest.mark.usefixtures("nothing_published")
def test_a_trailer_is_not_a_header(ingress: Ingress, token: str) -> None:
    framing = "Transfer-Encoding: chunked"
    body = b"%x\r\n%b\r\n0\r\n" % (len(batch()), batch())
    assert ask(ingress, request(None, body + f"token: {token}\r\n\r\n".encode(), framing=framing)).status == 401
    assert ask(ingress, request(token, body + b"token: another\r\n\r\n", framing=framing)).status == 200


@pytest.mark.usefixtures("nothing_published")
@pytest.mark.parametrize("line", [b"a: b\r\n", b"x"], ids=["many", "one"])
@pytest.mark.parametrize("what", ["trailers", "chunk extensions"])
def test_trailers_and_chunk_extensions_are_bounded_too(ingress: Ingress, what: str, line: bytes) -> None:
    """Also for clients without a token: all of it would be kept in memory."""
    start = b"0\r\nx: " if what == "trailers" else b"1;"
    with RawConnection(ingress.port) as connection:
        connection.send(request(None, start, framing="Transfer-Encoding: chunked"))
        assert connection.read_answer().status == 401
        with pytest.raises(OSError, match=r"(?i)reset|broken pipe"):
            connection.send(line * (200 * HEADER_BYTES_MAX // len(line)))


def test_an_upgrade_is_ignored_and_the_body_is_read(
    shared_installation: Installation, ingress: Ingress, token: str
) -> None:
    """As `curl --http2` sends it, followed by a second request."""
    framing = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ"
    body = batch(an_order("upgrade"))
    first = request(token, body, framing=f"{framing}\r\nContent-Length: {len(body)}")
    with RawConnection(ingress.port) as connection:
        connection.send(first + request(token, batch()))
        assert connection.read_answer().counts == (1, 0, 0)
        assert connection.read_answer().counts == (0, 0, 0)
    assert list(shared_installation.rows("table")).count("upgrade") == 1
    assert ask(ingress, request(token, b"", method="CONNECT", path="x:1")).status == 400


def test_white_space_around_a_token_is_not_of_it(ingress: Ingress, token: str) -> None:
    assert ask(ingress, request(f" \t{token} \t", batch())).counts == (0, 0, 0)


@pytest.mark.usefixtures("nothing_published")
def test_413_is_noticed_before_the_body(ingress: Ingress, token: str) -> None:
    answer = ask(ingress, request(token, b"", framing=f"Content-Length: {BODY_BYTES_MAX + 1}"))
    assert (answer.status, list(answer.json)) == (413, ["error"])


@pytest.mark.usefixtures("nothing_published")
def test_413_is_counted_while_a_chunked_body_streams_in(ingress: Ingress, token: str) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with RawConnection(ingress.port) as connection:
        connection.send(request(token, b"", framing="Transfer-Encoding: chunked"))
        for _ in range(BODY_BYTES_MAX // 0x10000 + 1):
            connection.send(chunk)
        answer = connection.read_answer()  # before the body has ended
        assert (answer.status, list(answer.json)) == (413, ["error"])
        connection.send(b"0\r\n\r\n" + request(token, batch()))
        assert connection.read_answer().counts == (0, 0, 0)  # the connection can still be used


@pytest.mark.usefixtures("nothing_published")
def test_415_names_the_encoding_that_is_read(ingress: Ingress, token: str) -> None:
    answer = ask(ingress, request(token, b"", framing="Content-Length: 0\r\nContent-Encoding: br"))
    assert (answer.status, list(answer.json), answer.headers["accept-encoding"]) == (415, ["error"], "gzip")


def test_a_body_may_be_packed_and_have_a_byte_order_mark(ingress: Ingress, token: str) -> None:
    packed = gzip.compress(b"\xef\xbb\xbf" + batch(an_order("packed")))
    framing = f"Content-Length: {len(packed)}\r\nContent-Encoding: gzip"
    assert ask(ingress, request(token, packed, framing=framing)).counts == (1, 0, 0)


def test_a_body_of_exactly_4_mib_is_taken(ingress: Ingress, token: str) -> None:
    body = batch(an_order("padded"))
    answer = ask(ingress, request(token, body + b" " * (BODY_BYTES_MAX - len(body))))
    assert answer.counts == (1, 0, 0)


@pytest.mark.usefixtures("nothing_published")
def test_a_body_that_does_not_arrive_ends_in_408(shared_installation: Installation, token: str) -> None:
    hasty = shared_installation.start_ingress({"ORDERS_BODY_TIMEOUT_S": "1"})
    with RawConnection(hasty.port) as connection:
        connection.send(request(token, b'{"data"', framing="Content-Length: 100"))
        answer = connection.read_answer()
        assert (answer.status, list(answer.json)) == (408, ["error"])
        assert connection.at_end()


@pytest.mark.usefixtures("nothing_published")
def test_a_client_that_hangs_up_in_mid_body_publishes_nothing(ingress: Ingress, token: str) -> None:
    with RawConnection(ingress.port) as connection:
        connection.send(request(token, GOOD[:-1], framing=f"Content-Length: {len(GOOD)}"))
    assert ask(ingress, request(token, batch())).counts == (0, 0, 0)


def test_a_client_that_closes_its_half_gets_its_answer(ingress: Ingress, token: str) -> None:
    with RawConnection(ingress.port) as connection:
        connection.send(request(token, batch(an_order("half closed"))))
        connection.socket.shutdown(1)
        assert connection.read_answer().counts == (1, 0, 0)


@pytest.mark.usefixtures("nothing_published")
def test_no_100_continue_is_sent_if_the_answer_is_already_known(ingress: Ingress) -> None:
    framing = f"Content-Length: {len(GOOD)}\r\nExpect: 100-continue"
    with RawConnection(ingress.port) as connection:
        connection.send(request("wrong", b"", framing=framing))
        assert connection.read_answer().status == 401  # and no 100 before it
        assert connection.at_end()


def test_pipelined_requests_are_answered_in_order(ingress: Ingress, token: str) -> None:
    with RawConnection(ingress.port) as connection:
        connection.send(request(token, batch(an_order("pipe"))) + request(token, batch(an_order("pipe"))))
        assert connection.read_answer().counts == (1, 0, 0)
        assert connection.read_answer().counts == (0, 0, 1)


def test_health(ingress: Ingress) -> None:
    assert ask(ingress, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").json == {"status": "ok"}
    ready = ask(ingress, b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n").json
    names = ["partners_read", "reply_partition_assigned", "topics_as_set_up", "broker_reachable", "accepting"]
    assert ready == dict.fromkeys([*names, "log_as_applied", "consumers_not_halted"], True)


def test_a_head_has_no_body(ingress: Ingress) -> None:
    with closing(Connection(ingress.port)) as connection:
        for _ in range(2):  # what follows is no body
            answer = connection.request("HEAD", "/healthz")
            assert (answer.status, answer.headers["content-length"], answer.body) == (200, "16", b"")
