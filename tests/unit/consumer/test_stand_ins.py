"""The stand-ins for the worker pass the suites of the real parts (integration/test_contracts_of_the_worker.py)."""

from collections.abc import Callable

import pytest

from support.contract_of_the_applier import ApplierContract
from support.contract_of_the_assignment import PARTITIONS, AssignmentContract
from support.events import record
from support.orders import an_order
from support.stand_ins import StandInApplier, StandInAssignment

OTHERS = PARTITIONS[6:]


class InMemoryAssignment:
    def __init__(self) -> None:
        self.assignment = StandInAssignment()
        self.assignment.assign(dict.fromkeys(PARTITIONS, 0))
        self._written = dict.fromkeys(PARTITIONS, 0)

    def write(self, partition: int, count: int) -> None:
        for _ in range(count):
            written = record(an_order(), self._written[partition])
            written.partition = partition
            self.assignment.write([written])
            self._written[partition] += 1

    def lose_some(self, step: Callable[[], object]) -> None:
        self._rebalance(step, lambda: self.assignment.revoke(*OTHERS))

    def get_all_back(self, step: Callable[[], object]) -> None:
        self._rebalance(step, lambda: self.assignment.assign(dict.fromkeys(OTHERS, 0)))

    def committed(self) -> dict[int, int]:
        return self.assignment.committed

    def _rebalance(self, step: Callable[[], object], change: Callable[[], None]) -> None:
        """Within the take or the wait of this step."""
        self.assignment.in_take, self.assignment.in_wait = [change], change
        step()
        self.assignment.in_take, self.assignment.in_wait = [], lambda: None


class InMemoryTables:
    def __init__(self) -> None:
        self.applier = StandInApplier()

    def fence(self) -> dict[int, int]:
        return self.applier.fence

    def put_back(self) -> None:
        self.applier.fence.clear()

    def interrupt(self) -> None:
        self.applier.outages = 1


class TestStandInAssignment(AssignmentContract):
    @pytest.fixture
    def world(self) -> InMemoryAssignment:
        return InMemoryAssignment()


class TestStandInApplier(ApplierContract):
    @pytest.fixture
    def world(self) -> InMemoryTables:
        return InMemoryTables()
