"""Who gets `application/problem+json`."""

import pytest

from ingress.accept import RANGES_MAX, wants_problem_json

P, J = "application/problem+json", "application/json"


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ([], False),
        (["*/*"], False),
        (["application/*"], False),
        ([J], False),
        ([P], True),
        ([P.upper()], True),
        ([f"{J}, {P}"], True),
        ([J, P], True),
        ([f"{J};q=0.5, {P};q=0.9"], True),
        ([f"{J};q=0.9, {P};q=0.5"], False),
        ([f"{J}, {P};q=0.999"], False),
        ([f"{J};q=0, {P};q=0.1"], True),
        ([f"{P};q=0"], False),
        ([f"{P};q=0.000"], False),
        ([f"{P} ; charset=utf-8 ; Q=1.000"], True),
        ([f"{P};q=2"], False),
        ([f"{P};q=0.1234"], False),
        ([f"{P};q=nan"], False),
        ([f"{P};q="], False),
        ([f"{P};q=\u0661"], False),
        (["," * 20 + P], True),
        ([";;;=,q," + P], True),
        (["text/html," * (RANGES_MAX - 1) + P], True),
        (["text/html," * RANGES_MAX + P], False),
    ],
)
def test_the_type_has_to_be_named_and_liked(headers: list[str], wanted: bool) -> None:
    assert wants_problem_json(headers) is wanted
