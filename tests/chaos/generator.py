"""The partners: threads that make the calls of the workload, and probes that show when all is well again."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from itertools import count

from chaos.client import Client
from chaos.history import Call, History
from chaos.workload import INGRESSES, PARTNERS, Item, Planned, calls
from contracts.partitioner import partition_of
from contracts.topics import UPSERT_PARTITIONS

PROBE = "probe"
PROBE_TIMEOUT_S = 3.0
PROBE_EVERY_S = 0.5
RIVAL_EVERY_S = 0.2
CALLS_LOOKED_AT = 200
RETRY_AFTER_S = 0.3
ALL_PARTNERS = (*PARTNERS, PROBE)


class Load:
    """Runs `clients` threads from start to stop. The seed decides every call of theirs."""

    def __init__(
        self,
        seed: int,
        clients: int,
        ports: list[int],
        tokens: dict[str, str],
        history: History,
        *,
        rival: bool = False,
    ) -> None:
        self._stop = threading.Event()
        self._history = history
        self._pool = ThreadPoolExecutor(2 * clients + INGRESSES + rival, thread_name_prefix="client")
        self._clients = [Client(f"client {number}", ports, tokens, history) for number in range(clients)]
        self._probes = [
            Client(f"probe {ingress}", ports, tokens, history, PROBE_TIMEOUT_S) for ingress in range(INGRESSES)
        ]
        self._work = [
            self._pool.submit(self._drive, client, calls(seed, number)) for number, client in enumerate(self._clients)
        ]
        self._work += [self._pool.submit(self._probe, probe, ingress) for ingress, probe in enumerate(self._probes)]
        if rival:
            self._work.append(self._pool.submit(self._rival, Client("rival", ports, tokens, history)))

    def stop(self) -> None:
        """Starts no new calls. The running ones end by themselves."""
        self._stop.set()

    @property
    def has_ended(self) -> bool:
        """Raises what a thread raised."""
        return all(work.done() and work.result() is None for work in self._work)

    def not_served(self, within_s: float) -> list[str]:
        """Every client asks every ingress. Returns those that got no counts in time. Nothing can be called after it."""
        deadline = threading.Event()
        timer = threading.Timer(within_s, deadline.set)
        timer.start()
        asked = [(client, ingress) for client in self._clients for ingress in range(INGRESSES)]
        served = list(self._pool.map(lambda pair: self._is_served(pair[0], pair[1], deadline), asked))
        timer.cancel()
        self._pool.shutdown()
        return [f"{c.name} on ingress {i}" for (c, i), is_served in zip(asked, served, strict=True) if not is_served]

    def _is_served(self, client: Client, ingress: int, deadline: threading.Event) -> bool:
        while not deadline.is_set():
            if client.post(Planned(PROBE, one_in_each_partition(), ingress, 0)).status == 200:
                return True
            deadline.wait(RETRY_AFTER_S)
        return False

    def _drive(self, client: Client, planned: Iterator[Planned]) -> None:
        for call in planned:
            if self._stop.wait(call.think_s):
                return
            if call.twin:
                twin = replace(call, ingress=(call.ingress + 1) % INGRESSES, hang_up_s=None)
                other = self._pool.submit(client.post, twin)
                self._persist(client, call)
                other.result()
            else:
                self._persist(client, call)

    def _persist(self, client: Client, planned: Planned) -> None:
        for attempt in count(1):
            call = client.post(planned)
            if call.location is not None and planned.ask_status:
                self._ask(client, call)
            if _is_known(call) or attempt >= planned.attempts_max or self._stop.wait(RETRY_AFTER_S):
                return
            planned = replace(planned, ingress=(planned.ingress + 1) % INGRESSES, hang_up_s=None)

    def _ask(self, client: Client, call: Call) -> None:
        client.ask(call, call.partner)
        client.ask(call, PARTNERS[(PARTNERS.index(call.partner) + 1) % len(PARTNERS)])

    def _probe(self, probe: Client, ingress: int) -> None:
        for version in count():
            if self._stop.wait(PROBE_EVERY_S):
                return
            items = tuple((order_id, version) for order_id, _ in one_in_each_partition())
            probe.post(Planned(PROBE, items, ingress, 0))

    def _rival(self, rival: Client) -> None:
        """Another body under the newest key that was answered: a restore may have lost it. Waits for no outcome."""
        for number in count():
            if self._stop.wait(RIVAL_EVERY_S):
                return
            for call in reversed(self._history.calls[-CALLS_LOOKED_AT:]):
                if call.key is not None and call.status == 200 and call.client != rival.name:
                    items = ((f"rival-{number}", 0),)
                    rival.post(
                        Planned(call.partner, items, number % INGRESSES, 0, key=call.key, prefer="respond-async")
                    )
                    break


@cache
def one_in_each_partition() -> tuple[Item, ...]:
    found: dict[int, Item] = {}
    for number in count():
        order_id = f"probe-{number}"
        found.setdefault(partition_of(order_id.encode(), UPSERT_PARTITIONS), (order_id, 0))
        if len(found) == UPSERT_PARTITIONS:
            return tuple(found.values())
    raise AssertionError


def _is_known(call: Call) -> bool:
    return call.status is not None and call.status not in (503, 504)
