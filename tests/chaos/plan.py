"""From a seed to the faults of a run. Pure: the same seed gives the same plan."""

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from chaos.proxy import CUT, STALL, TRICKLE

LINKS = ("partner-ingress", "ingress-kafka", "ingress-postgres", "consumer-kafka", "consumer-postgres")
MODES = {CUT: 3, STALL: 7, TRICKLE: 6}
"""How a link is disturbed, and the longest time for it."""
FIRST_FAULT_S = 4.0
CALM_S = 4.0
"""How long the load goes on after the last fault. In a plan of single faults, three times this lies between two."""


@dataclass(frozen=True, slots=True)
class Kind:
    """`part` is what it disturbs. Two faults of one part never overlap, or their effects could not be separated."""

    name: str
    part: str
    shortest_s: float
    longest_s: float


KINDS = (
    Kind("ingress kill", "ingress", 0.5, 3),
    Kind("ingress freeze", "ingress", 7, 9),
    Kind("ingress term", "ingress", 0.5, 3),
    Kind("consumer kill", "consumer", 0.5, 3),
    Kind("consumer freeze", "consumer", 7.5, 10),  # a zombie: its session ends after 6 s
    Kind("consumer term", "consumer", 0.5, 3),
    Kind("broker kill", "kafka", 2, 6),
    Kind("leader kill", "kafka", 2, 6),
    Kind("broker clock ahead", "kafka", 2, 5),
    Kind("postgres immediate", "postgres", 0.5, 4),
    Kind("postgres kill", "postgres", 0.5, 4),
    Kind("postgres sessions", "postgres", 2, 4),
    Kind("postgres disk full", "postgres", 3, 6),
    Kind("postgres restore", "postgres", 4, 8),
    Kind("shop columns", "postgres", 1, 2),
    Kind("shop trigger", "postgres", 2, 5),
    Kind("poison records", "foreign writer", 0.5, 1),
    *(Kind(f"{link} {mode}", link, 1, longest_s) for link in LINKS for mode, longest_s in MODES.items()),
)
KIND_BY_NAME = {kind.name: kind for kind in KINDS}
EVERYTHING = "everything"
DISASTERS = (
    Kind("kafka put back", EVERYTHING, 2, 4),
    Kind("kafka tail cut", EVERYTHING, 2, 4),
    Kind("topic made again", EVERYTHING, 0, 0.1),
    Kind("replica promoted", EVERYTHING, 2, 4),
)
"""Kafka loses records, and an operator reseeds; or Postgres is gone, and a standby takes over. At most one in a run, as
the last fault and alone: what two of them leave cannot be told apart in the topic, and there is one standby.
"""
DISASTER_BY_NAME = {kind.name: kind for kind in DISASTERS}
DISASTER_S = 6.0


@dataclass(frozen=True, slots=True)
class Fault:
    """`choice` picks the victim from those that exist when it begins."""

    kind: str
    at_s: float
    duration_s: float
    choice: int

    @property
    def end_s(self) -> float:
        return self.at_s + self.duration_s


@dataclass(frozen=True, slots=True)
class Scaling:
    """One consumer more or less: a fault without a duration, which never ends."""

    at_s: float
    up: bool
    choice: int


@dataclass(frozen=True, slots=True)
class Plan:
    seed: int
    duration_s: float
    brokers: int
    faults: tuple[Fault, ...]
    scalings: tuple[Scaling, ...]

    def without_scaling(self) -> "Plan":
        return replace(self, scalings=())


def make_plan(
    seed: int,
    duration_s: float,
    brokers: int,
    *,
    single: bool = False,
    without: Collection[str] = (),
    disaster: str | None = None,
) -> Plan:
    """Storms of some faults at once, dealt from a deck of every kind, so that each comes as often as the others.

    `single`: one at a time instead, with time to recover. `without`: kinds that this machine cannot do. `disaster`: the
    last fault of the run.
    """
    chosen = random.Random(f"faults {seed}")
    kinds = [kind for kind in KINDS if kind.name not in without and (brokers > 1 or kind.name != "leader kill")]
    make = _singles if single else _storms
    until_s = duration_s - CALM_S - (DISASTER_S if disaster else 0)
    faults = sorted(make(chosen, kinds, until_s), key=lambda fault: fault.at_s) if kinds else []
    if disaster is not None:
        faults.append(_fault(chosen, DISASTER_BY_NAME[disaster], max(until_s, FIRST_FAULT_S)))
    return Plan(seed, duration_s, brokers, tuple(faults), () if single else tuple(_scalings(seed, until_s)))


def _singles(chosen: random.Random, kinds: list[Kind], until_s: float) -> Iterator[Fault]:
    at_s = FIRST_FAULT_S
    while True:
        for kind in chosen.sample(kinds, len(kinds)):
            fault = _fault(chosen, kind, at_s)
            if fault.end_s > until_s:
                return
            yield fault
            at_s = fault.end_s + 3 * CALM_S


def _storms(chosen: random.Random, kinds: list[Kind], until_s: float) -> Iterator[Fault]:
    deck: list[Kind] = []
    at_s = FIRST_FAULT_S
    while True:
        storm = _deal(chosen, deck, kinds, chosen.choice((2, 3, 3, 4)))
        faults = [_fault(chosen, kind, at_s + chosen.uniform(0, 1.5)) for kind in storm]
        end_s = max(fault.end_s for fault in faults)
        if end_s > until_s:
            return
        yield from faults
        at_s = end_s + chosen.uniform(0.5, 3)


def _deal(chosen: random.Random, deck: list[Kind], kinds: list[Kind], count: int) -> list[Kind]:
    """The next kinds of the deck that disturb different parts."""
    storm: list[Kind] = []
    if len(deck) < count:
        deck += chosen.sample(kinds, len(kinds))
    for kind in list(deck):
        if len(storm) < count and kind.part not in {other.part for other in storm}:
            storm.append(kind)
            deck.remove(kind)
    return storm


def _fault(chosen: random.Random, kind: Kind, at_s: float) -> Fault:
    duration_s = chosen.uniform(kind.shortest_s, kind.longest_s)
    return Fault(kind.name, round(at_s, 2), round(duration_s, 2), chosen.randrange(1 << 16))


def _scalings(seed: int, until_s: float) -> Iterator[Scaling]:
    chosen = random.Random(f"scaling {seed}")
    at_s = FIRST_FAULT_S
    while at_s < until_s:
        yield Scaling(round(at_s, 2), chosen.random() < 0.5, chosen.randrange(1 << 16))
        at_s += chosen.uniform(4, 9)
