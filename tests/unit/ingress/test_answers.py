"""The documented answer, made by hand, is what Starlette and the JSON library make."""

from hypothesis import given
from hypothesis import strategies as st

from contracts.result import Outcome, outcomes_of
from ingress.answers import counts_body, counts_response
from ingress.json_answers import json_response


@given(st.lists(st.sampled_from(Outcome), max_size=30), st.integers(0, 1000))
def test_the_counts_are_answered_as_any_other_json(found: list[Outcome], invalid: int) -> None:
    outcomes = outcomes_of(enumerate(found))
    usual, own = json_response(200, counts_body(outcomes, invalid)), counts_response(outcomes, invalid)
    assert (own.status_code, own.body, own.raw_headers) == (usual.status_code, usual.body, usual.raw_headers)
    assert own.background is usual.background is None
