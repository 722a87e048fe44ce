"""What is remembered of requests is what the ledger would say, or it is forgotten."""

from datetime import date
from uuid import UUID

from consumer.core.known_requests import REQUESTS_MAX, KnownRequests
from contracts.event import BodyKey, RequestKey

A, B = RequestKey(UUID(int=1), "p"), RequestKey(UUID(int=2), "p")
TODAY, TOMORROW = date(2026, 3, 24), date(2026, 3, 25)


def known(masks: dict[BodyKey, int], fence: dict[int, int]) -> KnownRequests:
    found = KnownRequests()
    found.unknown([], TODAY)
    found.note(masks, fence)
    found.commit()
    return found


def test_what_was_committed_is_known() -> None:
    found = known({BodyKey(A, None): 0b101}, {3: 7})
    assert found.unknown([A, B], TODAY) == {B}
    assert found.masks([BodyKey(A, None), BodyKey(B, None)]) == {BodyKey(A, None): 0b101}


def test_what_was_not_committed_is_not_known() -> None:
    found = known({}, {3: 7})
    found.note({BodyKey(A, None): 1}, {3: 8})
    assert found.unknown([A], TODAY) == {A}
    assert found.holds({3: 7})


def test_it_holds_while_nobody_else_moves_the_fence_of_our_partitions() -> None:
    found = known({BodyKey(A, None): 1}, {3: 7})
    assert found.holds({3: 7})
    assert not found.holds({3: 8})
    assert not found.holds({3: 7, 4: 0})  # what others have applied there is not known
    found.forget({3: 8, 4: 0})
    assert found.unknown([A], TODAY) == {A}
    assert found.holds({3: 8, 4: 0})


def test_another_day_asks_the_ledger_for_other_days() -> None:
    found = known({BodyKey(A, None): 1}, {3: 7})
    assert found.unknown([A], TOMORROW) == {A}


def test_a_key_may_be_used_again_so_nothing_is_remembered_of_it() -> None:
    found = known({BodyKey(A, "d" * 32): 1}, {3: 7})
    assert found.unknown([A], TODAY) == {A}
    assert found.masks([BodyKey(A, "d" * 32)]) == {}


def test_a_bounded_number_of_requests_is_remembered() -> None:
    many = {BodyKey(RequestKey(UUID(int=n), "p"), None): 1 for n in range(3, 3 + REQUESTS_MAX)}
    found = known(many, {3: 7})
    found.note({BodyKey(A, None): 1}, {})
    found.commit()
    assert len(found.unknown([key.request_key for key in many], TODAY)) == REQUESTS_MAX
    assert found.unknown([A], TODAY) == set()
