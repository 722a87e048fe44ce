"""How long it took after each fault until every ingress answered again for every partition. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from chaos.history import Call, FaultSeen


@dataclass(frozen=True, slots=True)
class Recovery:
    """`after_s` the end of the fault, or of the last one of those that came between; None: never. `alone`: none did."""

    fault: FaultSeen
    after_s: float | None
    alone: bool


def recoveries(faults: Sequence[FaultSeen], probes: Sequence[Call], ingresses: int) -> list[Recovery]:
    """`probes` are calls with an order for each partition."""
    served = [
        sorted((call.at_s, call.answered_s or 0) for call in probes if call.ingress == ingress and call.status == 200)
        for ingress in range(ingresses)
    ]
    lasting = [fault for fault in faults if fault.end_s > fault.begin_s]
    return [_recovery(fault, lasting, served) for fault in lasting]


def _recovery(fault: FaultSeen, faults: Sequence[FaultSeen], served: list[list[tuple[float, float]]]) -> Recovery:
    since_s = fault.end_s
    alone = not any(other is not fault and _meet(other, fault.begin_s, fault.end_s) for other in faults)
    while True:
        firsts = [next((answered for at, answered in calls if at >= since_s), None) for calls in served]
        recovered_s = None if None in firsts else max(first for first in firsts if first is not None)
        until_s = float("inf") if recovered_s is None else recovered_s
        later = [other.end_s for other in faults if _meet(other, since_s, until_s) and other.end_s > since_s]
        if not later:
            return Recovery(fault, None if recovered_s is None else round(recovered_s - since_s, 2), alone)
        since_s, alone = max(later), False


def _meet(fault: FaultSeen, begin_s: float, end_s: float) -> bool:
    return fault.begin_s < end_s and fault.end_s > begin_s
