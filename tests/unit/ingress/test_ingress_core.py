"""The pure parts of the ingress: pending replies, admission, rates, tokens."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import wraps
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.partner import Partner
from contracts.result import Outcome, encode_outcomes, encode_result, encode_results, outcomes_of
from ingress.admission import Admission
from ingress.auth import Guesses, Partners
from ingress.errors import KeyConflictError, NotConfirmedError, UnauthorizedError, UnavailableError
from ingress.pending_replies import PendingReplies
from ingress.rate_limit import RateLimit
from support.clocks import Clock

ID, OTHER = UUID(int=1), UUID(int=2)
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def on_a_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @wraps(test)
    def run(*arguments: object, **named: object) -> None:
        async def call() -> None:
            await test(*arguments, **named)

        asyncio.run(call())

    return run


def result(
    request_id: UUID, items: list[tuple[int, Outcome]], *, digest: str | None = None, **flags: bool
) -> tuple[bytes, bytes]:
    value = encode_result(request_id, encode_outcomes(outcomes_of(items)), digest=digest, **flags)
    return str(request_id).encode(), value


OUTCOMES = st.lists(st.sampled_from(list(Outcome)), min_size=1, max_size=20)


@given(OUTCOMES, st.data())
@on_a_loop
async def test_outcomes_are_exact_in_any_order_with_any_duplicates(
    outcomes: list[Outcome], data: st.DataObject
) -> None:
    items = list(enumerate(outcomes))
    parts = []
    rest = items
    while rest:
        cut = data.draw(st.integers(1, len(rest)))
        parts.append(rest[:cut])
        rest = rest[cut:]
    shuffled = data.draw(st.permutations(parts + data.draw(st.lists(st.sampled_from(parts), max_size=4))))
    replies = PendingReplies()
    with replies.waiting_for(ID, None, range(len(outcomes))) as pending:
        for part in shuffled:
            replies.on_result(*result(ID, part))
        found = pending.done.result().outcomes
    assert {outcome: sorted(indexes) for outcome, indexes in found.items()} == outcomes_of(items)


@on_a_loop
async def test_a_record_of_several_requests_answers_those_that_wait_here() -> None:
    replies = PendingReplies()
    several = encode_results(result(request_id, [(0, Outcome.UPDATED)])[1] for request_id in (OTHER, ID, UUID(int=0)))
    with replies.waiting_for(ID, None, [0]) as one, replies.waiting_for(OTHER, None, [0, 1]) as other:
        replies.on_result(None, several)
        assert one.done.result().outcomes[Outcome.UPDATED] == [0]
        assert not other.done.done()
        replies.on_result(*result(OTHER, [(1, Outcome.UPDATED)]))
        assert other.done.result().outcomes[Outcome.UPDATED] == [0, 1]


@given(OUTCOMES, st.integers(0, 19))
@on_a_loop
async def test_there_is_no_answer_before_the_last_outcome(outcomes: list[Outcome], missing: int) -> None:
    missing %= len(outcomes)
    replies = PendingReplies()
    with replies.waiting_for(ID, None, range(len(outcomes))) as pending:
        replies.on_result(*result(ID, [item for item in enumerate(outcomes) if item[0] != missing]))
        assert not pending.done.done()
        replies.on_result(*result(ID, [(missing, outcomes[missing])]))
        assert pending.done.done()


@on_a_loop
async def test_what_is_not_a_result_of_a_pending_request_changes_nothing() -> None:
    replies = PendingReplies()
    with replies.waiting_for(ID, None, [0]) as pending:
        key, value = result(ID, [(0, Outcome.INSERTED)])
        replies.on_result(*result(OTHER, [(0, Outcome.INSERTED)]))
        replies.on_result(None, value.replace(str(ID).encode(), str(OTHER).encode()))
        replies.on_result(key, None)
        replies.on_result(key, b"{}")
        replies.on_result(key, result(OTHER, [(0, Outcome.INSERTED)])[1])  # another request under this key
        replies.on_result(*result(ID, [(1, Outcome.INSERTED)]))  # an index that was not asked for
        replies.on_result(*result(ID, [(0, Outcome.INSERTED)], digest="a"))  # another body under the same key
        assert not pending.done.done()
        replies.on_result(key, value)
        assert pending.done.result().outcomes == outcomes_of([(0, Outcome.INSERTED)])


@on_a_loop
async def test_an_entry_ends_by_failure_and_is_gone_when_the_last_one_left() -> None:
    replies = PendingReplies()
    with replies.waiting_for(ID, None, [0]) as pending:
        replies.fail(OTHER, NotConfirmedError(OTHER))
        assert not pending.done.done()
        replies.fail(ID, NotConfirmedError(ID))
        replies.fail(ID, NotConfirmedError(ID))
        replies.on_result(*result(ID, [(0, Outcome.INSERTED)]))  # too late
        with pytest.raises(NotConfirmedError):
            pending.done.result()
    replies.fail(ID, NotConfirmedError(ID))
    assert len(replies) == 0


@on_a_loop
async def test_who_asks_again_meanwhile_joins_and_may_stay_longer_than_the_first() -> None:
    replies = PendingReplies()
    first = replies.waiting_for(ID, "a", [0])
    second = replies.waiting_for(ID, "a", [0])
    pending = first.__enter__()
    joined_before = pending.is_joined
    assert second.__enter__() is pending
    assert (joined_before, pending.is_joined) == (False, True)
    first.__exit__(None, None, None)
    replies.on_result(*result(ID, [(0, Outcome.UPDATED)], digest="a", stored=True))
    assert pending.done.result().stored
    second.__exit__(None, None, None)
    assert len(replies) == 0


@on_a_loop
async def test_two_bodies_under_one_key_wait_separately_and_the_loser_is_refused() -> None:
    replies = PendingReplies()
    with replies.waiting_for(ID, "a", [0]) as winner, replies.waiting_for(ID, "b", [0]) as loser:
        replies.on_result(*result(ID, [(0, Outcome.INVALID)], digest="b", conflict=True))
        replies.on_result(*result(ID, [(0, Outcome.INSERTED)], digest="a"))
        assert winner.done.result().outcomes == outcomes_of([(0, Outcome.INSERTED)])
        with pytest.raises(KeyConflictError):
            loser.done.result()
    assert len(replies) == 0


def test_what_a_request_held_is_given_back_however_it_ends() -> None:
    admission = Admission(orders_max=10, bytes_max=100)

    def fails() -> None:
        with admission.request() as held:
            held.add_bytes(60)
            held.add_orders(6)
            assert (admission.requests, admission.orders, admission.bytes) == (1, 6, 60)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert (admission.requests, admission.orders, admission.bytes) == (0, 0, 0)


def test_what_is_too_much_is_refused_as_a_whole() -> None:
    admission = Admission(orders_max=10, bytes_max=100)
    with admission.request() as first, admission.request() as second:
        first.add_orders(10)
        first.add_bytes(100)
        for hold in (second.add_orders, second.add_bytes):
            with pytest.raises(UnavailableError, match="Too many"):
                hold(1)
        assert (second.orders, second.bytes) == (0, 0)


def test_draining_refuses_new_requests_and_those_that_are_not_admitted_yet() -> None:
    admission = Admission(orders_max=10, bytes_max=100)
    with admission.request() as held:
        admission.draining = True
        with pytest.raises(UnavailableError, match="shutting down"):
            held.add_orders(1)
    with pytest.raises(UnavailableError, match="shutting down"), admission.request():
        pass


def test_a_rate_lets_debt_in_and_waits_for_it() -> None:
    clock = Clock()
    limit = RateLimit(clock)
    partner = Partner(partner_id="p", tokens=[], orders_per_s=10)
    assert limit.wait_s(partner) == 0
    limit.charge(partner, 30)  # more than the bucket holds
    assert limit.wait_s(partner) == pytest.approx(2.1)
    clock.now_s += 2.0
    assert limit.wait_s(partner) > 0
    clock.now_s += 0.15
    assert limit.wait_s(partner) == 0


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 50)), max_size=30), st.integers(1, 100))
def test_over_any_time_a_partner_gets_its_rate_and_one_burst_and_one_batch(
    requests: list[tuple[float, int]], rate: int
) -> None:
    clock = Clock()
    limit = RateLimit(clock)
    partner = Partner(partner_id="p", tokens=[], orders_per_s=rate)
    let_in = 0
    for pause_s, orders in requests:
        clock.now_s += pause_s
        if not limit.wait_s(partner):
            limit.charge(partner, orders)
            let_in += orders
    assert let_in <= rate * (clock.now_s - Clock.now_s + 1) + 50


def test_a_partner_without_a_limit_never_waits() -> None:
    limit = RateLimit(Clock())
    partner = Partner(partner_id="p", tokens=[])
    limit.charge(partner, 10**9)
    assert limit.wait_s(partner) == 0


def owner(partners: Partners, tokens: list[str]) -> Partner | None:
    try:
        return partners.authenticate(tokens)
    except UnauthorizedError:
        return None


def test_tokens_follow_rotation_and_revocation() -> None:
    partners = Partners(Guesses(lambda: 0.0, lambda: None))
    one = Partner(partner_id="p", tokens=[]).with_token("t1", NOW)
    both = one.with_token("t2", NOW)
    partners.put("p", one)
    assert partners.authenticate(["t1"]) == one
    assert owner(partners, ["t2"]) is None
    partners.put("p", both)
    assert partners.authenticate(["t1"]) == partners.authenticate(["t2"]) == both
    partners.put("p", both.with_revoked(both.tokens[0].key_id))
    assert owner(partners, ["t1"]) is None
    assert owner(partners, ["t2"]) is not None
    partners.put("p", None)
    assert owner(partners, ["t2"]) is None


@pytest.mark.parametrize("tokens", [[], ["t", "t"], ["t" * 201], ["u"]])
def test_anything_but_one_known_token_is_nobody(tokens: list[str]) -> None:
    partners = Partners(Guesses(lambda: 0.0, lambda: None))
    partners.put("p", Partner(partner_id="p", tokens=[]).with_token("t", NOW))
    assert owner(partners, tokens) is None
