"""Repeated events: which of them are applied, in examples and over random histories."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from consumer.core.batch import Batch
from consumer.core.fold import fold
from consumer.core.record import Decoded, Event
from consumer.core.repeats import CONFLICT, LostClaims, classify, conflict, digests
from consumer.core.replies import StoredPart, conflict_replies, first_replies, request_parts, stored_replies
from contracts.event import BodyKey, ReplyTo, RequestKey
from contracts.result import Outcome, encode_outcomes, outcomes_of
from support.events import REPLY_TO, TIME, event

A, B = "a" * 32, "b" * 32
REQUEST = RequestKey(UUID(int=1), "p")


def of(items: Sequence[Decoded]) -> Batch:
    return Batch.of(items, {})


def test_a_copy_of_an_event_without_a_key_is_a_repeat_too() -> None:
    """A producer sent it again."""
    events = [event(1), event(2), event(3, index=1), event(4, request=2), event(5, partner="q")]
    assert digests(of(events)) == {}
    found = classify(of(events), {}, {})
    assert found.fresh.items == [events[0], *events[2:]]
    assert found.repeats.items == [events[1]]
    applied = {BodyKey(REQUEST, None): 0b1, BodyKey(RequestKey(UUID(int=2), "p"), A): 0b1}
    assert classify(of(events), {}, applied).repeats.items == events[:2]


def test_the_first_event_is_applied_and_every_later_one_is_a_repeat() -> None:
    events = [event(1, digest=A), event(2, "2", index=1, digest=A), event(3, digest=A), event(4, digest=A)]
    found = classify(of(events), {REQUEST: A}, {})
    assert found.fresh.items == events[:2]
    assert found.repeats.items == events[2:]
    assert classify(of(events), {REQUEST: A}, {BodyKey(REQUEST, A): 0b11}).repeats.items == events


def test_the_key_belongs_to_one_digest_and_events_of_another_are_conflicts() -> None:
    mine, other = event(1, digest=A), event(2, digest=B)
    assert digests(of([mine, other])) == {REQUEST: (A, TIME)}
    found = classify(of([mine, other]), {REQUEST: A}, {})
    assert found.fresh.items == [mine]
    assert [(item.record, item.error) for item in found.conflicts] == [(other.record, CONFLICT)]


def test_partners_do_not_share_keys() -> None:
    events = [event(1, digest=A), event(2, partner="q", digest=B)]
    assert len(digests(of(events))) == 2
    assert classify(of(events), {REQUEST: A, RequestKey(UUID(int=1), "q"): B}, {}).fresh.items == events


def test_dead_letters_say_for_some_days_who_lost() -> None:
    lost_claims = LostClaims(timedelta(days=7))

    def is_lost(item: Event) -> bool:
        return not lost_claims.without(of([item])).runs

    assert not is_lost(event(1, digest=A))
    lost_claims.add(event(1, digest=A).context, TIME)
    lost_claims.add(event(1).context, TIME)
    assert is_lost(event(9, digest=A, index=5))
    assert is_lost(event(9, digest=A, time=TIME + timedelta(days=6)))
    assert not is_lost(event(9, digest=A, time=TIME + timedelta(days=7)))  # the key may be used again by then
    assert not is_lost(event(9, digest=B))
    assert not is_lost(event(9, digest=A, partner="q"))
    assert not is_lost(event(9))


EVENTS = st.lists(
    st.tuples(st.sampled_from([None, A, B]), st.integers(1, 2), st.integers(0, 3), st.sampled_from("xyz")), max_size=25
)


@given(EVENTS, st.lists(st.integers(0, 25), max_size=4))
def test_how_a_history_is_cut_into_batches_changes_nothing(
    items: list[tuple[str | None, int, int, str]], cuts: list[int]
) -> None:
    """One partition, in which the first digest owns the key: the borders of batches do not matter."""
    events = [
        event(n, name, request=request, index=index, digest=digest)
        for n, (digest, request, index, name) in enumerate(items)
    ]
    owners: dict[RequestKey, str] = {}
    applied: dict[BodyKey, int] = {}
    fresh: list[Decoded] = []
    edges = sorted({0, len(events), *(min(cut, len(events)) for cut in cuts)})
    for start, end in pairwise(edges):
        part: list[Event] = events[start:end]
        for request, (digest, _) in digests(of(part)).items():
            owners.setdefault(request, digest)
        found = classify(of(part), owners, applied)
        fresh += found.fresh.items
        applied |= found.applied
    whole_owners = {request: digest for request, (digest, _) in digests(of(events)).items()}
    assert fresh == classify(of(events), whole_owners, {}).fresh.items


def test_a_repeated_request_gets_what_the_ledger_has_of_its_events_at_each_place_that_was_named() -> None:
    other = ReplyTo("replies", 9)
    events = [
        event(1, reply_to=REPLY_TO, digest=A),
        event(2, reply_to=other, digest=A),
        event(3, reply_to=other, digest=A, index=1),
        event(4, digest=A),  # asks for no reply
        event(5, reply_to=REPLY_TO, request=2),  # of which the ledger has nothing
    ]
    first, second, third = ((0, Outcome.INSERTED), (1, Outcome.INVALID), (2, Outcome.STALE))
    known = encode_outcomes(outcomes_of([first, second, third]))
    parts = [StoredPart(BodyKey(REQUEST, A), known), StoredPart(BodyKey(REQUEST, B), "another body's")]
    replies = stored_replies(of(events), parts, repeated=True)
    assert [(reply.reply_to, reply.outcomes_json, reply.stored) for reply in replies] == [
        (REPLY_TO, encode_outcomes(outcomes_of([first])), True),
        (other, encode_outcomes(outcomes_of([first, second])), True),
    ]
    alone = stored_replies(of(events[1:4]), parts, repeated=True)
    assert [(reply.reply_to, reply.outcomes_json) for reply in alone] == [(other, known)]


def test_who_has_no_key_did_not_ask_again() -> None:
    told = stored_replies(of([event(1, reply_to=REPLY_TO)]), [StoredPart(BodyKey(REQUEST, None), "{}")], repeated=True)
    assert [reply.stored for reply in told] == [False]


def test_replies_carry_the_digest_and_whether_the_key_is_taken() -> None:
    asked = of([event(1, reply_to=REPLY_TO, digest=A)])
    parts = request_parts(asked, fold(asked, {}).outcomes)
    assert [(reply.digest, reply.conflict) for reply in first_replies(parts)] == [(A, False)]
    lost = [conflict(item) for item in (event(2, index=3, reply_to=REPLY_TO, digest=B), event(3))]
    told = conflict_replies(lost)
    assert [(reply.digest, reply.conflict) for reply in told] == [(B, True)]
    assert told[0].outcomes_json == encode_outcomes(outcomes_of([(3, Outcome.INVALID)]))
