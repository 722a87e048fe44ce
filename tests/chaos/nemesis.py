"""Carries out the plan: begins every fault at its time, and starts again what ended."""

import heapq
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from chaos.begun import Begun
from chaos.cluster import Cluster
from chaos.faults import BEGIN
from chaos.history import FaultSeen, History
from chaos.log_loss import PRODUCER_LOST
from chaos.plan import CALM_S, DISASTER_BY_NAME, EVERYTHING, KIND_BY_NAME, Fault, Plan, Scaling
from chaos.servers import start_postgres
from deploy.local.child import Child
from support.waiting import HANG_S

CONSUMERS_MAX = 4
_TICK_S = 0.05
_KINDS = KIND_BY_NAME | DISASTER_BY_NAME
_ASKED_FOR = (0, -signal.SIGKILL, -signal.SIGTERM)

Print = Callable[[str], None]


@dataclass
class Nemesis:
    """Runs in the main thread, because a child ends with the thread that started it."""

    cluster: Cluster
    plan: Plan
    history: History
    show: Print
    unexpected: list[str] = field(default_factory=list)
    """Processes that ended by themselves."""
    _disturbed: set[str] = field(default_factory=set)
    _until_s: float = 0.0
    _order: "count[int]" = field(default_factory=count)
    _todo: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)

    def run(self) -> None:
        """Returns at the end of the load, with every fault ended."""
        self._until_s = self.plan.duration_s
        for fault in self.plan.faults:
            self._at(fault.at_s, lambda fault=fault: self._begin(fault))  # type: ignore[misc]
        for scaling in self.plan.scalings:
            self._at(scaling.at_s, lambda scaling=scaling: self._scale(scaling))  # type: ignore[misc]
        while self._todo or self.history.now_s() < self._until_s:
            while self._todo and self._todo[0][0] <= self.history.now_s():
                heapq.heappop(self._todo)[2]()
            self.keep_up()
            time.sleep(_TICK_S)

    def keep_up(self) -> None:
        """Starts what should run and does not, as a supervisor does."""
        for slot in self.cluster.ingresses:
            if slot.child.exit_code is None:
                continue
            if slot.child.exit_code not in _ASKED_FOR and not self._is_of_the_loss(slot.child):
                self._by_itself(slot.child.death())
            if slot.wanted:
                self.cluster.ended.append(slot.child)
                slot.child = self.cluster.start_ingress(slot.port)
        for consumer in [child for child in self.cluster.consumers if child.exit_code is not None]:
            self._by_itself(consumer.death())
            self.cluster.leave(consumer)
            self.cluster.add_consumer()

    def heal(self) -> None:
        """Ends every disturbance, starts what should run, and waits for the processes that were told to end."""
        self.cluster.proxy.heal()
        if self.cluster.postgres.child.exit_code is not None:
            start_postgres(self.cluster)
        for thread in self.cluster.writing:
            thread.join()
        deadline = time.monotonic() + HANG_S
        while any(child.exit_code is None for child in self.cluster.ended):
            if time.monotonic() > deadline:
                stuck = [child.name for child in self.cluster.ended if child.exit_code is None]
                self.unexpected.append(f"told to go and still there: {stuck}")
                return
            self.keep_up()
            time.sleep(_TICK_S)
        self.keep_up()

    def _at(self, at_s: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._todo, (at_s, next(self._order), do))

    def _begin(self, fault: Fault) -> None:
        """Waits if another fault still disturbs the same part: on a slow machine faults end later than planned."""
        part = _KINDS[fault.kind].part
        if part in self._disturbed or (part == EVERYTHING and self._disturbed):
            self._at(self.history.now_s() + _TICK_S, lambda: self._begin(fault))
            return
        self._disturbed.add(part)
        begin_s = self.history.now_s()
        begun = BEGIN[fault.kind](self.cluster, fault.choice)
        self.show(f"{begin_s:7.2f} s  {fault.kind} {begun.detail}".rstrip())
        self._at(self.history.now_s() + fault.duration_s, lambda: self._end(fault, begun, begin_s))

    def _end(self, fault: Fault, begun: Begun, begin_s: float) -> None:
        begun.end()
        part, end_s = _KINDS[fault.kind].part, self.history.now_s()
        self._disturbed.discard(part)
        for complaint in self.cluster.complaints:
            self.show(f"{end_s:7.2f} s  COMPLAINT: {complaint}")
        self.history.fault(FaultSeen(fault.kind, begun.detail, begin_s, end_s))
        if part == EVERYTHING:  # which takes longer than the plan can know
            self._until_s = max(self._until_s, end_s + CALM_S)

    def _scale(self, scaling: Scaling) -> None:
        at_s, consumers = self.history.now_s(), self.cluster.consumers
        up = scaling.up and len(consumers) < CONSUMERS_MAX
        if up:
            detail = self.cluster.add_consumer().name
        else:
            running = [child for child in consumers if child.pid not in self.cluster.frozen]
            if len(running) < 2:
                return
            victim = running[scaling.choice % len(running)]
            self.cluster.leave(victim)
            victim.signal(signal.SIGTERM)
            detail = victim.name
        self.history.fault(FaultSeen("scaling up" if up else "scaling down", detail, at_s, at_s))

    def _is_of_the_loss(self, ingress: Child) -> bool:
        """The broker has forgotten the sequence of a producer. No ingress can mend that: it asks for a new start."""
        return self.cluster.lost is not None and PRODUCER_LOST in ingress.log.read_text()

    def _by_itself(self, death: Exception) -> None:
        self.unexpected.append(str(death))
        self.show(f"{self.history.now_s():7.2f} s  UNEXPECTED: {death}")
