"""Orders to measure with: as different as real ones, and cheap to make while a load runs."""

import random
from collections.abc import Iterator

PATH = "/api/integration/orders"
_BODIES = 16
_SCATTER = 7_368_787  # a prime: every number comes once before any repeats
_FIRST = ("Ada", "Amir", "Bo", "Chen", "Dora", "Emre", "Femi", "Gita", "Hugo", "Ines", "Jan", "Kofi", "Lena", "Mina")
_LAST = ("Abe", "Becker", "Costa", "Diaz", "Evans", "Fischer", "Garcia", "Haas", "Ito", "Jones", "Khan", "Okafor")
_STREET = ("Main", "High", "Park", "Oak", "Lake", "Hill", "Church", "Mill", "River", "Spring")


def order_template(rng: random.Random, products: int) -> str:
    """An order's JSON with `%d` where its order_id has its number and where its total stands."""
    first, last, number = rng.choice(_FIRST), rng.choice(_LAST), rng.randrange(10**6)
    lines = ",".join(
        f'{{"product_sku_id":"SKU-{rng.randrange(10**5):05}","amount":"{rng.randrange(10**5)}.{rng.randrange(100):02}",'
        f'"qty":{rng.randrange(1, 9)}}}'
        for _ in range(products)
    )
    return (
        f'{{"name":"{first} {last}","phone":"+{rng.randrange(10**11):011}",'
        f'"address":"{number % 400} {rng.choice(_STREET)} Street, {number:06}",'
        f'"email":"{first}.{last}{number}@example.com",'
        f'"order_id":"ORD-%010d","refferral_code":"REF-{rng.randrange(10**4)}","user_id":"U-{rng.randrange(10**7)}",'
        f'"products":[{lines}],"total_amount":%d,"discount":{rng.randrange(100)},"total_qty":{products}}}'
    )


class Requests:
    """HTTP requests with `orders` orders each, numbered from `first` on; the same seed gives the same ones.

    With `keys`, they are scattered over so many numbers and begin again after them: with another `total` such orders
    are updates, with the same one they are what stands there.
    """

    def __init__(
        self, token: str, orders: int, *, products: int = 1, first: int = 0, keys: int | None = None, total: int = 100
    ) -> None:
        rng = random.Random(7)
        self.orders = orders
        self._bodies = [
            ('{"data":[' + ",".join(order_template(rng, products) for _ in range(orders)) + "]}").encode()
            for _ in range(_BODIES)
        ]
        self._head = (
            f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\ntoken: {token}\r\n"
        ).encode()
        self._first, self._keys, self._total = first, keys, total

    def __iter__(self) -> Iterator[bytes]:
        number = 0
        while True:
            template = self._bodies[number // self.orders % _BODIES]
            values: list[int] = []
            for position in range(number, number + self.orders):
                offset = position * _SCATTER % self._keys if self._keys else position
                values += (self._first + offset, self._total)
            body = template % tuple(values)
            yield b"%bContent-Length: %d\r\n\r\n%b" % (self._head, len(body), body)
            number += self.orders
