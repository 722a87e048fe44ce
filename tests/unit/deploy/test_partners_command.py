"""`orders partners`, without a broker: what it shows of tokens."""

import io
import json
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.partner import Partner, new_token
from deploy.commands import partners
from deploy.errors import OutputError, PartnerError
from deploy.partners import PartnerRegistry


def registry(token: str) -> Any:
    partner = Partner(partner_id="acme", tokens=[], orders_per_s=50)
    made = object.__new__(PartnerRegistry)
    made._partners = {"acme": partner.with_token(token, datetime(2026, 3, 24, tzinfo=UTC))}
    made.__dict__["add"] = lambda *_: token
    return made


TOKEN = new_token(lambda choices: choices[7])


def test_partners_are_listed_for_programs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(partners, "_registry", lambda **_: registry(TOKEN))
    partners.list_partners(as_json=True)
    told = json.loads(capsys.readouterr().out)
    token = {"key_id": "77777777", "status": "active", "since": "2026-03-24T00:00:00.000Z"}
    assert told == {"partner": "acme", "orders_per_s": 50, "tokens": [token]}


def test_a_token_that_nobody_sees_is_not_lost_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partners, "_registry", lambda **_: registry(TOKEN))

    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(OutputError, match="orders partners revoke acme 77777777") as caught:
        partners.add("acme", None)
    assert TOKEN not in str(caught.value)
    monkeypatch.setattr("deploy.streams.can_show", lambda: False)
    with pytest.raises(OutputError, match="Nothing was done"):
        partners.rotate("acme")


def test_a_token_that_is_given_for_its_key_id_is_not_repeated() -> None:
    with pytest.raises(PartnerError, match="Valid: 77777777") as caught:
        registry(TOKEN).revoke("acme", TOKEN)
    assert TOKEN not in str(caught.value)
