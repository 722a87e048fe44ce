"""Load in the background that adds up all answers."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager

from support.background import beside
from support.http import TIMEOUT_S, Connection
from support.installation import Ingress
from support.orders import an_order


@contextmanager
def posting(
    ingress: Ingress, token: str, *, pause_s: float = 0.0, timeout_s: float = TIMEOUT_S
) -> Iterator[Counter[str]]:
    """Posts new, changed and unchanged orders until the end of the block. Yields the sums of the answers."""
    sums: Counter[str] = Counter()
    stop = threading.Event()

    def post() -> None:
        number = 0
        with closing(Connection(ingress.port, timeout_s)) as connection:
            while not stop.wait(pause_s):
                batch = [an_order(f"L-{n}", name=f"{number // 7}") for n in range(number, number + 20, 2)]
                started_s = time.monotonic()
                inserted, updated, skipped = connection.post(token, batch * 2).counts
                sums["slowest_ms"] = max(sums["slowest_ms"], int((time.monotonic() - started_s) * 1000))
                sums.update(inserted=inserted, updated=updated, skipped=skipped, posted=20)
                number += 3

    with beside(stop, post):
        yield sums
