"""Wrong tokens: slowed down, logged with a count, and nobody else waits for them."""

import asyncio
import logging
from datetime import UTC, datetime

import pytest
from starlette.requests import Request
from starlette.responses import Response

from contracts.partner import Partner
from ingress import auth
from ingress.answers import respond
from ingress.auth import GUESS_WAIT_S, GUESSES_AT_ONCE_MAX, Guesses, Partners
from ingress.connections import CONNECTION
from ingress.errors import UnauthorizedError
from ingress.json_answers import json_response
from ingress.seldom import LOG_EVERY_S, SeldomLog
from support.clocks import Clock, StoppedLoop

SECRET = "a-secret-token-of-somebody"


def test_some_wrong_tokens_are_answered_at_once_and_the_others_wait() -> None:
    clock, noted = Clock(), list[int]()
    guesses = Guesses(clock, lambda: noted.append(1))
    waits = [guesses.wait_s() for _ in range(GUESSES_AT_ONCE_MAX + 3)]
    assert waits == [0.0] * GUESSES_AT_ONCE_MAX + [GUESS_WAIT_S] * 3
    clock.now_s += 2.0
    assert [guesses.wait_s() for _ in range(3)] == [0.0, 0.0, GUESS_WAIT_S]
    clock.now_s += 3600.0
    assert [guesses.wait_s() for _ in range(GUESSES_AT_ONCE_MAX + 1)] == waits[: GUESSES_AT_ONCE_MAX + 1]
    assert len(noted) == GUESSES_AT_ONCE_MAX + 3 + 3 + GUESSES_AT_ONCE_MAX + 1


def test_a_right_token_never_waits_whoever_guesses() -> None:
    noted = list[int]()
    partners = Partners(Guesses(Clock(), lambda: noted.append(1)))
    partner = Partner(partner_id="p", tokens=[]).with_token("right", datetime(2026, 1, 1, tzinfo=UTC))
    partners.put("p", partner)
    for tokens in (["wrong"], [], ["right", "right"], ["x" * 201]) * GUESSES_AT_ONCE_MAX:
        with pytest.raises(UnauthorizedError):
            partners.authenticate(tokens)
    assert len(noted) == 4 * GUESSES_AT_ONCE_MAX
    assert partners.authenticate(["right"]) == partner
    assert len(noted) == 4 * GUESSES_AT_ONCE_MAX


class GuessersConnection:
    closable = False

    def may_be_closed(self) -> None:
        self.closable = True


def answered(error: UnauthorizedError, connection: GuessersConnection) -> Response:
    async def handle(_: Request) -> Response:
        raise error

    scope = {"type": "http", "headers": [], "state": {CONNECTION: connection}}
    return asyncio.run(respond(Request(scope), handle))


def test_a_guesser_waits_for_the_answer_and_its_connection_may_be_closed_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept = list[float]()

    async def sleep(time_s: float) -> None:
        slept.append(time_s)
        assert connection.closable

    monkeypatch.setattr(asyncio, "sleep", sleep)
    connection = GuessersConnection()
    answer = answered(UnauthorizedError(auth.GUESS_WAIT_S), connection)
    assert (answer.status_code, slept) == (401, [GUESS_WAIT_S])
    connection = GuessersConnection()
    assert answered(UnauthorizedError(), connection).body == answer.body
    assert (slept, connection.closable) == ([GUESS_WAIT_S], False)


def test_401_names_the_scheme() -> None:
    """RFC 9110, 11.6.1."""
    assert answered(UnauthorizedError(), GuessersConnection()).headers["www-authenticate"] == 'Token realm="orders"'
    assert json_response(200, {}).headers.get("www-authenticate") is None


def test_what_is_seldom_logged_has_the_count(caplog: pytest.LogCaptureFixture) -> None:
    loop = StoppedLoop()
    seldom = SeldomLog(logging.getLogger("ingress"), "%d times", loop)

    def after(time_s: float) -> list[str]:
        loop.after(time_s)
        lines = [record.message for record in caplog.records]
        caplog.clear()
        return lines

    try:
        for _ in range(3):
            seldom.add()
        assert after(0) == ["1 times"]
        assert after(LOG_EVERY_S - 1) == []
        assert after(1.1) == ["2 times"]
        assert after(LOG_EVERY_S + 0.1) == []  # nothing happened
        seldom.add()
        assert after(0) == ["1 times"]
    finally:
        loop.close()


def test_no_token_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    loop = StoppedLoop()
    partners = Partners(Guesses(Clock(), SeldomLog(logging.getLogger("ingress"), "%d wrong tokens", loop).add))
    with pytest.raises(UnauthorizedError) as raised:
        partners.authenticate([SECRET])
    loop.close()
    assert [record.message for record in caplog.records] == ["1 wrong tokens"]
    assert SECRET not in str(raised.value) + caplog.text
