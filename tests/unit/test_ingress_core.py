"""The pure parts of the ingress: pending replies, admission, rates, tokens."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import wraps
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from order_upsert.contracts.partner import Partner
from order_upsert.contracts.result import Outcome, encode_outcomes, encode_result, outcomes_of
from order_upsert.ingress.admission import Admission
from order_upsert.ingress.auth import Partners
from order_upsert.ingress.errors import NotConfirmedError, UnavailableError
from order_upsert.ingress.rate_limit import RateLimit
from order_upsert.ingress.replies import Counts, PendingReplies

ID, OTHER = UUID(int=1), UUID(int=2)
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def on_a_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @wraps(test)
    def run(*arguments: object, **named: object) -> None:
        async def call() -> None:
            await test(*arguments, **named)

        asyncio.run(call())

    return run


def result(request_id: UUID, items: list[tuple[int, Outcome]]) -> tuple[bytes, bytes]:
    return str(request_id).encode(), encode_result(request_id, encode_outcomes(outcomes_of(items)))


def pending_for(
    request_id: UUID, size: int, counts: Counts | None = None
) -> tuple[PendingReplies, "asyncio.Future[Counts]"]:
    replies = PendingReplies()
    answer: asyncio.Future[Counts] = asyncio.get_running_loop().create_future()
    replies.add(request_id, range(size), counts or Counts(), answer)
    return replies, answer


OUTCOMES = st.lists(st.sampled_from(list(Outcome)), min_size=1, max_size=20)


@given(OUTCOMES, st.data())
@on_a_loop
async def test_counts_are_exact_in_any_order_with_any_duplicates(outcomes: list[Outcome], data: st.DataObject) -> None:
    items = list(enumerate(outcomes))
    parts = []
    rest = items
    while rest:
        cut = data.draw(st.integers(1, len(rest)))
        parts.append(rest[:cut])
        rest = rest[cut:]
    shuffled = data.draw(st.permutations(parts + data.draw(st.lists(st.sampled_from(parts), max_size=4))))
    replies, answer = pending_for(ID, len(outcomes), Counts(skipped=2))
    for part in shuffled:
        replies.on_result(*result(ID, part))
    counts = answer.result()
    assert counts.inserted == outcomes.count(Outcome.INSERTED)
    assert counts.updated == outcomes.count(Outcome.UPDATED)
    assert counts.inserted + counts.updated + counts.skipped == len(outcomes) + 2


@given(OUTCOMES, st.integers(0, 19))
@on_a_loop
async def test_there_is_no_answer_before_the_last_outcome(outcomes: list[Outcome], missing: int) -> None:
    missing %= len(outcomes)
    replies, answer = pending_for(ID, len(outcomes))
    replies.on_result(*result(ID, [item for item in enumerate(outcomes) if item[0] != missing]))
    assert not answer.done()
    replies.on_result(*result(ID, [(missing, outcomes[missing])]))
    assert answer.done()


@on_a_loop
async def test_what_is_not_a_result_of_a_pending_request_changes_nothing() -> None:
    replies, answer = pending_for(ID, 1)
    key, value = result(ID, [(0, Outcome.INSERTED)])
    replies.on_result(*result(OTHER, [(0, Outcome.INSERTED)]))
    replies.on_result(None, value)
    replies.on_result(key, None)
    replies.on_result(key, b"{}")
    replies.on_result(key, result(OTHER, [(0, Outcome.INSERTED)])[1])  # another request under this key
    replies.on_result(*result(ID, [(1, Outcome.INSERTED)]))  # an index that was not asked for
    assert not answer.done()
    replies.on_result(key, value)
    assert answer.result() == Counts(inserted=1)


@on_a_loop
async def test_an_entry_ends_by_failure_or_by_removal() -> None:
    replies, answer = pending_for(ID, 1)
    replies.fail(OTHER, NotConfirmedError(OTHER))
    replies.fail(ID, NotConfirmedError(ID))
    replies.fail(ID, NotConfirmedError(ID))
    replies.on_result(*result(ID, [(0, Outcome.INSERTED)]))  # too late
    with pytest.raises(NotConfirmedError):
        await answer
    replies.remove(ID)
    replies.remove(ID)
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


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


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


def test_tokens_follow_rotation_and_revocation() -> None:
    partners = Partners()
    one = Partner(partner_id="p", tokens=[]).with_token("t1", NOW)
    both = one.with_token("t2", NOW)
    partners.put("p", one)
    assert partners.authenticate(["t1"]) == one
    assert partners.authenticate(["t2"]) is None
    partners.put("p", both)
    assert partners.authenticate(["t1"]) == partners.authenticate(["t2"]) == both
    partners.put("p", both.with_revoked(both.tokens[0].key_id))
    assert partners.authenticate(["t1"]) is None
    assert partners.authenticate(["t2"]) is not None
    partners.put("p", None)
    assert partners.authenticate(["t2"]) is None


@pytest.mark.parametrize("tokens", [[], ["t", "t"], ["t" * 201], ["u"]])
def test_anything_but_one_known_token_is_nobody(tokens: list[str]) -> None:
    partners = Partners()
    partners.put("p", Partner(partner_id="p", tokens=[]).with_token("t", NOW))
    assert partners.authenticate(tokens) is None
