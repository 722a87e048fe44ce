"""A loop that hangs is told; long work and long waits are no standstill."""

import pytest

from consumer.errors import RetryLaterError
from consumer.postgres.session import SessionHolder
from consumer.vitals import STALLED_AFTER_S, Vitals
from support.clocks import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def vitals(clock: Clock) -> Vitals:
    return Vitals(clock)


def test_who_does_not_ask_whether_to_stop_has_stalled_until_it_asks_again(clock: Clock, vitals: Vitals) -> None:
    def is_alive_after(silent_s: float) -> bool:
        clock.now_s += silent_s
        assert vitals.readiness()["loop_turns"] is vitals.is_alive
        return vitals.is_alive

    assert is_alive_after(STALLED_AFTER_S)
    assert not is_alive_after(0.1)
    vitals.is_set()
    assert is_alive_after(0)
    assert not is_alive_after(STALLED_AFTER_S + 1)
    vitals.wait(0)
    assert is_alive_after(0)


def test_to_look_from_outside_is_no_turn(clock: Clock, vitals: Vitals) -> None:
    clock.now_s += STALLED_AFTER_S + 1
    for _ in range(2):
        assert not all(vitals.readiness().values())
        assert not vitals.is_alive


def test_each_use_of_the_session_is_a_turn(clock: Clock, vitals: Vitals) -> None:
    """A batch in which every record is refused takes thousands of transactions, within one turn of the loop."""
    holder = SessionHolder("postgresql://127.0.0.1:1/none", 7, on_use=vitals.turn)
    clock.now_s += STALLED_AFTER_S + 1
    with pytest.raises(RetryLaterError), holder.session():
        pass
    assert vitals.is_alive
    assert not holder.is_connected


def test_it_is_ready_with_partitions_and_postgres_until_it_stops(vitals: Vitals) -> None:
    assert not all(vitals.readiness().values())
    vitals.is_assigned = lambda: True
    assert not all(vitals.readiness().values())
    vitals.is_connected = lambda: True
    assert all(vitals.readiness().values())
    vitals.set()
    assert not all(vitals.readiness().values())
