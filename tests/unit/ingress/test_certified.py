"""A client's certificate names its partner, and lets in nobody else."""

from datetime import UTC, datetime

import pytest

from contracts.partner import Partner
from ingress.auth import CERTIFIED, Guesses, Partners
from ingress.errors import UnauthorizedError

NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def partners() -> Partners:
    made = Partners(Guesses(lambda: 0.0, lambda: None))
    made.put("acme", Partner(partner_id="acme", tokens=[]).with_token("t-acme", NOW))
    made.put("other", Partner(partner_id="other", tokens=[]).with_token("t-other", NOW))
    made.put("closed", Partner(partner_id="closed", tokens=[]))
    return made


@pytest.mark.parametrize("tokens", [[], ["t-acme"]])
def test_a_certificate_needs_no_token(partners: Partners, tokens: list[str]) -> None:
    assert partners.authenticate(tokens, {CERTIFIED: "acme"}).partner_id == "acme"


@pytest.mark.parametrize(
    ("tokens", "name"),
    [
        (["t-other"], "acme"),
        (["wrong"], "acme"),
        (["t-acme", "t-acme"], "acme"),
        ([], "nobody"),
        (["t-acme"], "nobody"),
        ([], None),
        (["t-acme"], None),
        ([], "closed"),
    ],
)
def test_a_certificate_lets_in_its_partner_alone(partners: Partners, tokens: list[str], name: str | None) -> None:
    """A partner whose tokens are all revoked is closed."""
    with pytest.raises(UnauthorizedError):
        partners.authenticate(tokens, {CERTIFIED: name})


def test_without_a_certificate_the_token_counts(partners: Partners) -> None:
    states: list[dict[str, str] | None] = [None, {}]
    for state in states:
        assert partners.authenticate(["t-other"], state).partner_id == "other"
        with pytest.raises(UnauthorizedError):
            partners.authenticate([], state)
