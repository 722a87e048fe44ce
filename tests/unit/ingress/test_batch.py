"""From a body to its orders. e2e/test_status_table.py has the structure rules as bytes."""

import asyncio
import json
import tracemalloc

import pytest

from contracts import limits
from contracts.strict_json import Violation
from ingress import batch, problems
from ingress.batch import PART_VALUES_MAX, VALUES_MAX, parse_body
from ingress.errors import UnavailableError
from support.orders import an_order
from support.parsing import outcome, parsed


def body_of(*orders: object, **others: object) -> bytes:
    return json.dumps({"data": orders, **others}).encode()


def path_of(body: bytes, *, strict: bool = False) -> str:
    with pytest.raises(Violation) as caught:
        parsed(body, strict=strict)
    return caught.value.path


GOOD = body_of(an_order("1"), an_order("2"))


def test_an_order_that_is_too_large_is_told_at_its_path() -> None:
    """Also if it is skipped as invalid. Ignored fields do not count."""
    large = an_order(address="x" * limits.ORDER_BYTES_MAX)
    for orders, path in (
        ([large, an_order(name=5)], "data[0]"),
        ([an_order(name=5), large], "data[0].name"),
        ([an_order(), {**large, "name": " "}], "data[1]"),
    ):
        assert path_of(body_of(*orders)) == path
    with pytest.raises(Violation) as caught:
        parsed(body_of(large, an_order(name=5)), strict=True)
    assert [path for path, _ in caught.value.others] == ["data[0]", "data[1].name"]
    assert len(parsed(body_of({**an_order(), "more": "x" * limits.ORDER_BYTES_MAX}))) == 1


MANY = b",".join([b"{}"] * 50_000)
DEEP = b'{"data":[],"x":' + b"[" * 150 + b'"a",' * 50_000 + b'"\\u0000"' + b"]" * 150 + b"}"
ORDER = json.dumps(an_order()).encode()


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (DEEP, "x" + "[0]" * 149 + "[50000]"),
        (b'{"data":[{"x":[' + MANY + b"]}]}", "data[0].name"),
        (b'{"data":[{"name":[' + MANY + b"]}]}", "data[0].name"),
        (b'{"data":[{"x":[' + MANY + b",NaN]}]}", ""),
        (b'{"data":[{"x":[' + MANY + b',"\\u0000"]}]}', "data[0].x[50000]"),
        (b'{"data":[[' + MANY + b"]]}", "data[0]"),
        (b'{"data":{"x":[' + MANY + b"]}}", "data"),
        (b"[" + MANY + b"]", ""),
        (b'{"data":[' + MANY + b",", ""),
        (b'{"data":[],"x":[' + b",".join([MANY] * 2) + b"]}", ""),
        (b'{"data":[' + ORDER[:-1] + b',"x":[' + b",".join([MANY] * 2) + b"]}]}", "data[0]"),
        (b'{"data":[],"x":[' + b",".join([MANY] * 4) + b"]}", ""),
    ],
    ids=range(12),
)
def test_a_body_with_very_many_values_costs_little_memory(body: bytes, path: str) -> None:
    tracemalloc.start()
    try:
        assert path_of(body) == path
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 20_000_000


def test_what_looks_like_many_values_in_a_text_is_a_text() -> None:
    """In an order, in another field, and in the body as a whole."""
    text = '{[,"\\' * (PART_VALUES_MAX // 3 + 1)
    assert len(parsed(body_of(*[an_order(f"T-{n}") | {"x": text} for n in range(4)], y=text))) == 4
    assert 5 * text.count(",") * 3 > VALUES_MAX


def test_a_dense_body_is_read_like_any_other() -> None:
    products = [{"product_sku_id": "S", "amount": "1", "qty": 1}] * 3000
    orders = [an_order(name, products=products) for name in "abcdef"]
    assert [order.order_id for order in parsed(body_of(*orders))] == list("abcdef")
    for strict in (False, True):
        wrong = [*orders[:4], {**orders[4], "name": {"x": [1] * 9}, "user_id": 7}, orders[5]]
        assert path_of(body_of(*wrong), strict=strict) == "data[4].name"
    dense = body_of(*[{**an_order(), "x": [0] * 60_000}] * 2)
    assert len(parsed(dense)) == 2
    assert path_of(dense, strict=True) == "data[0].x"
    assert path_of(body_of(*orders[:5], {**orders[5], "more": 1}), strict=True) == "data[5].more"


@pytest.mark.parametrize(
    ("body", "path", "error"),
    [
        (GOOD.decode().encode("utf-16"), "", "UTF-16"),
        (GOOD.decode().encode("utf-16-le"), "", "UTF-16"),
        (GOOD.decode().encode("utf-32"), "", "UTF-32"),
        (b'{"data":[' + ORDER + b"," + ORDER.replace(b"Ada", b"Jos\xe9") + b"]}", "data[1].name", "Latin-1"),
        (GOOD[:-30].replace(b'"Ada"', "😀".encode()[:3] + b'"'), "", "Invalid JSON"),
        (b'{"data":[' + ORDER + b"," + ORDER.replace(b'"U"', b'"\xf0\x9f\x98"') + b"]}", "data[1].user_id", "cut off"),
        (b'{"data":[' + ORDER + b"," + ORDER.replace(b'"U"', b'"\\ud83d"') + b"]}", "data[1].user_id", "half"),
        (b'{"data":[' + ORDER + b"," + ORDER.replace(b'"S"', b'"\\ude00x"') + b"]}", "data[1].products[0]", "half"),
        (b'{"data":[' + ORDER.replace(b'"Ada"', b"5") + b"," + ORDER.replace(b"U", b"\\ud83d") + b"]}", "data[0]", ""),
        (b'{"x":"\\ud83d","data":[' + ORDER + b"]}", "x", "half"),
        (b'{"x":"\xe9","data":[' + ORDER + b"]}", "x", "0xe9"),
        (b'{"data":[' + ORDER + b'],"\xe9":1}', "", "0xe9"),
        (b"\xe9" + GOOD, "", "Invalid JSON"),
    ],
    ids=range(13),
)  # fmt: skip
def test_what_is_not_utf8_is_named_with_its_order(body: bytes, path: str, error: str) -> None:
    with pytest.raises(Violation) as caught:
        parsed(body)
    assert caught.value.path.startswith(path)
    assert error in caught.value.error


def test_a_byte_order_mark_is_skipped() -> None:
    assert outcome(b"\xef\xbb\xbf" + GOOD) == outcome(GOOD)
    assert path_of(b"\xef\xbb\xbf\xef\xbb\xbf" + GOOD) == ""


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        (b"{", [""]),
        (b"[]", [""]),
        (b"{}", ["data"]),
        (b'{"data": null}', ["data"]),
        (b'{"data": "[]"}', ["data"]),
        (b'{"x": 1, "data": [1], "y": "\\u0000", "data": [2, 3]}', ["x", "data[0]", "data[1]", "y", "y"]),
        (b'{"x": [], "data": [], "y": 1}', ["x", "y"]),
        (b'{"x": ["\\u0000"], "data": ["\\u0000"]}', ["x", "data[0]"]),
        (b'{"data": [NaN]}', [""]),
        (b'{"data": [' + b"1," * 1_000 + b"1]}", [f"data[{n}]" for n in range(1_000)]),
        (b'{"data": [' + (ORDER + b",") * 1_000 + ORDER + b"]}", ["data"]),
    ],
    ids=range(11),
)  # fmt: skip
def test_strict_tells_every_violation_and_lenient_the_first(body: bytes, paths: list[str]) -> None:
    with pytest.raises(Violation) as caught:
        parsed(body, strict=True)
    assert sorted({path for path, _ in caught.value.others}) == sorted(set(paths))
    assert (caught.value.path, caught.value.error) == caught.value.others[0]
    lenient = [path for path in paths if path not in ("x", "y")] or paths
    if b'"x"' not in body:
        assert path_of(body) == lenient[0]


def test_room_for_the_orders_is_asked_for_before_they_are_read() -> None:
    asked: list[int] = []

    def no_room(count: int) -> None:
        asked.append(count)
        raise UnavailableError(problems.NOT_READY)

    for orders, count in (([1, 2], 2), ([1] * 1_001, 1_000)):
        with pytest.raises(UnavailableError):
            parsed(body_of(*orders), require_room=no_room)
        assert asked.pop() == count


def test_others_get_their_turn_between_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "TURN_S", 0)
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def run() -> None:
        others = asyncio.ensure_future(count_turns())
        await parse_body(body_of(*map(an_order, "abcd")), strict=False, require_room=lambda _: None)
        others.cancel()

    asyncio.run(run())
    assert turns >= 4
