"""Partners that post without a pause that matters, and know the counts of every answer."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from support.background import beside
from support.installation import Ingress, Installation
from support.orders import an_order
from support.waiting import eventually

PAUSE_S = 0.02
INVALID = an_order("invalid", name=" ")


class Partner:
    """Posts to the ingresses in turn; and each request twice, under its key, so that another one answers it too."""

    def __init__(self, installation: Installation, name: str, ingresses: Sequence[Ingress]) -> None:
        self.installation, self.name = installation, name
        self.token = installation.add_partner(name)
        self.ingresses = ingresses
        self.requests = 0
        self.names: dict[str, str] = {}
        """What its orders are, by order_id."""
        self.failure: BaseException | None = None

    def run(self, stop: threading.Event) -> None:
        try:
            while not stop.wait(PAUSE_S):
                self._post(self.requests)
                self.requests += 1
        except BaseException as error:  # noqa: BLE001 - told by `require_progress`
            self.failure = error

    def _post(self, number: int) -> None:
        """A new order, one that changes, one that does not, and an invalid one."""
        wanted = {f"{number}": "new"} | {f"{n}": "changed" for n in (number - 1, number - 2) if n >= 0}
        counts = (
            sum(order_id not in self.names for order_id in wanted),
            sum(self.names.get(order_id, name) != name for order_id, name in wanted.items()),
            sum(self.names.get(order_id) == name for order_id, name in wanted.items()) + 1,
        )
        orders = [*(an_order(order_id, name=name) for order_id, name in wanted.items()), INVALID]
        ingresses = self.ingresses
        for again in range(2):
            ingress = ingresses[(number + again) % len(ingresses)]
            answer = self.installation.post(ingress, self.token, orders, Idempotency_Key=f"{number}")
            assert answer.counts == counts, (number, again, answer)
        self.names |= wanted


class Load:
    """All partners together."""

    def __init__(self, partners: Sequence[Partner]) -> None:
        self.partners = partners

    def goes_on(self, requests: int = 6) -> None:
        """Returns when each partner has so many requests more, all of them with the right counts."""
        goals = [partner.requests + requests for partner in self.partners]
        eventually(lambda: all(self._count(p) >= goal for p, goal in zip(self.partners, goals, strict=True)))

    def through(self, *ingresses: Ingress) -> None:
        """As a balancer: these get the requests from now on. The others have none in flight when it returns."""
        for partner in self.partners:
            partner.ingresses = ingresses
        self.goes_on(2)  # the one that was being posted, and one more

    @staticmethod
    def _count(partner: Partner) -> int:
        if partner.failure is not None:
            raise RuntimeError(f"the partner {partner.name} got a wrong answer") from partner.failure
        return partner.requests


@contextmanager
def steady_load(installation: Installation, names: Sequence[str], *ingresses: Ingress) -> Iterator[Load]:
    """Until the end of the block."""
    load = Load([Partner(installation, name, ingresses) for name in names])
    stop = threading.Event()
    with beside(stop, *(partial(partner.run, stop) for partner in load.partners)):
        yield load
    load.goes_on(0)
