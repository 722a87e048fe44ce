"""What a body costs grows with its bytes, whatever it is.

The CPU time of the thread is measured, the least of several runs, so that a busy machine does not matter much. A body
that is eight times as long costs about eight times as much, and may cost 24 times; quadratic work costs 64 times.
"""

import gc
import json
import time
from collections.abc import Callable

import pytest

from consumer.core.decode import decode
from consumer.core.record import Record
from ingress import batch
from support.installation import headers_of
from support.orders import an_order
from support.parsing import outcome

BYTES, LONGER = 16_000, 8
RATIO_MAX = 3 * LONGER
OF_A_GOOD_BODY_MAX = 20
"""The promise is 10 (docs/limits.md). On a busy machine a figure of 8 may be measured as 16."""
RUNS = 3

ORDER = json.dumps(an_order()).encode()
WRONG = json.dumps({name: [] for name in an_order()}).encode()
PRODUCT = b'{"product_sku_id":"S","amount":"1","qty":1}'


def with_field(value: bytes) -> bytes:
    return ORDER[:-1] + b',"x":' + value + b"}"


def with_products(*products: bytes) -> bytes:
    return json.dumps(an_order(products="PRODUCTS")).encode().replace(b'"PRODUCTS"', b"[" + b",".join(products) + b"]")


def product(amount: bytes = b'"1"', more: bytes = b"") -> bytes:
    return b'{"product_sku_id":"S","amount":' + amount + b',"qty":1' + more + b"}"


def filled(piece: bytes, size: int) -> bytes:
    return piece * (size // len(piece))


def listed(piece: bytes, size: int) -> bytes:
    return b"[" + b",".join([piece] * (size // (len(piece) + 1))) + b"]"


def fields(size: int) -> bytes:
    return b",".join(b'"%x":1' % n for n in range(size // 8))


Shape = Callable[[int], bytes]

ORDERS: dict[str, Shape] = {
    "quotes": lambda n: with_field(b'"' + filled(b'\\"', n) + b'"'),
    "backslashes": lambda n: with_field(b'"' + filled(b"\\\\", n) + b'"'),
    "escapes in a name": lambda n: ORDER.replace(b"Ada", filled(b"\\n", n)),
    "Unicode escapes": lambda n: with_field(b'"' + filled(b"\\u00e9", n) + b'"'),
    "NULs": lambda n: with_field(listed(b'"\\u0000"', n)),
    "what looks like NULs": lambda n: with_field(listed(b'"\\\\u0000"', n)),
    "NULs in products": lambda n: with_products(*[product(b'"\\u0000"')] * (n // 50)),
    "halves of pairs": lambda n: with_field(b'"' + filled(b"\\ud83d", n) + b'"'),
    "half a pair at the end": lambda n: with_field(b'"' + filled(b"\\ud83d\\ude00\\n", n) + b'\\ud83d"'),
    "no UTF-8": lambda n: ORDER.replace(b"Ada", filled(b"\xff", n)),
    "blanks": lambda n: ORDER.replace(b"Ada", filled(b" ", n)),
    "digits of an integer": lambda n: ORDER.replace(b"2500", filled(b"9", n)),
    "digits of a text": lambda n: ORDER.replace(b"2500", b'"' + filled(b"9", n) + b'"'),
    "digits of an amount": lambda n: with_products(product(b"0." + filled(b"1", n))),
    "zeros of an amount": lambda n: with_products(product(b"0.1" + filled(b"0", n) + b"1")),
    "an exponent": lambda n: with_products(product(b"1e" + filled(b"9", n))),
    "large integers": lambda n: with_field(listed(b"9" * 4_000, n)),
    "amounts to spell": lambda n: with_products(*[product(b"1.50")] * (n // 45)),
    "lists": lambda n: with_field(listed(b"[]", n)),
    "deep lists": lambda n: with_field(listed(b"[" * 150 + b"]" * 150, n)),
    "too deep": lambda n: with_field(b"[" * (n // 2) + b"]" * (n // 2)),
    "unknown fields": lambda n: ORDER[:-1] + b"," + fields(n) + b"}",
    "unknown fields of a product": lambda n: with_products(product(more=b"," + fields(n))),
    "unknown fields of products": lambda n: with_products(*[product(more=b',"u":1')] * (n // 50)),
    "one field many times": lambda n: ORDER[:-1] + filled(b',"name":"n"', n) + b"}",
    "a long name": lambda n: ORDER[:-1] + b',"' + filled(b"k", n) + b'":1}',
    "products that are not": lambda n: with_products(*[b"0"] * (n // 2)),
    "products without fields": lambda n: with_products(*[b"{}"] * (n // 3)),
    "products, one negative": lambda n: with_products(*[PRODUCT] * (n // 45), product(b'"-1"')),
}
BODIES: dict[str, Shape] = {
    "not JSON": lambda n: filled(b" \n", n) + b"x",
    "open lists": lambda n: b'{"data":' + filled(b"[", n),
    "cut off": lambda n: b'{"data":' + listed(ORDER, n)[:-1],
    "an open text": lambda n: b'{"data":["' + filled(b'\\"', n),
    "numbers for orders": lambda n: b'{"data":' + listed(b"0", n) + b"}",
    "objects for orders": lambda n: b'{"data":' + listed(b"{}", n) + b"}",
    "all wrong": lambda n: b'{"data":' + listed(WRONG, n) + b"}",
    "one wrong": lambda n: b'{"data":' + listed(ORDER, n)[:-1] + b",1]}",
    "fields beside": lambda n: b'{"data":[],' + fields(n) + b"}",
    "data many times": lambda n: b"{" + filled(b'"data":[],', n) + b'"data":[]}',
    "lists beside": lambda n: b'{"x":' + listed(b"[]", n) + b',"data":[]}',
}
COUNTED: dict[str, Shape] = {
    "quotes after commas": lambda n: b"," * 1_000 + b'"' + filled(b'\\"', n),
    "open quotes": lambda n: b"," * 1_000 + filled(b'"', n),
    "texts": lambda n: b"[" + filled(b'",",', n),
    "backslashes after commas": lambda n: b"," * 1_000 + b'"' + filled(b"\\", n),
    "commas in a text": lambda n: b'{"data":[' + with_field(b'"' + filled(b",", n) + b'"') + b"]}",
}


def cost_s(run: Callable[[], object]) -> float:
    least_s = float("inf")
    gc.disable()  # what it costs depends on all else that the process has
    try:
        for _ in range(RUNS):
            started_s = time.thread_time()
            run()
            least_s = min(least_s, time.thread_time() - started_s)
    finally:
        gc.enable()
    return least_s


def require_linear(run: Callable[[bytes], object], shape: Shape) -> float:
    short, long = shape(BYTES), shape(LONGER * BYTES)
    for _ in range(3):  # another process may have had the caches of this core
        long_s = cost_s(lambda: run(long))
        if long_s < RATIO_MAX * cost_s(lambda: run(short)):
            return long_s
    raise AssertionError(f"{len(long)} bytes cost {long_s} s, {RATIO_MAX} times as much as {len(short)} bytes")


def require_cheap(long_s: float, run: Callable[[bytes], object]) -> None:
    body = b'{"data":' + listed(ORDER, LONGER * BYTES) + b"}"
    assert long_s < OF_A_GOOD_BODY_MAX * cost_s(lambda: run(body))


def lenient(body: bytes) -> object:
    return outcome(body)


def strict(body: bytes) -> object:
    return outcome(body, strict=True)


def consumed(value: bytes) -> object:
    return decode(Record(0, 0, 0, b"O-1", value, headers_of("p")))


@pytest.mark.parametrize("name", ORDERS)
def test_an_order_costs_what_its_bytes_cost(name: str) -> None:
    for run in (lenient, strict):
        require_cheap(require_linear(run, lambda size: b'{"data":[' + ORDERS[name](size) + b"]}"), run)
    require_linear(consumed, ORDERS[name])


@pytest.mark.parametrize("name", BODIES)
def test_a_body_costs_what_its_bytes_cost(name: str) -> None:
    for run in (lenient, strict):
        require_cheap(require_linear(run, BODIES[name]), run)


@pytest.mark.parametrize("name", COUNTED)
def test_counting_the_values_of_a_body_costs_what_its_bytes_cost(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body with few values is not counted exactly. Here, a thousand are already many."""
    monkeypatch.setattr(batch, "VALUES_MAX", 500)
    monkeypatch.setattr(batch, "PART_VALUES_MAX", 500)
    require_cheap(require_linear(lenient, COUNTED[name]), lenient)
