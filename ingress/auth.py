"""Finds the partner of a token. Pure; used on the event loop only."""

from collections.abc import Callable, Mapping
from typing import Any

from contracts.partner import Partner, token_sha256
from ingress.errors import UnauthorizedError

TOKEN_CHARS_MAX = 200
CERTIFIED = "certified"
"""In the `state` of a request whose client showed a certificate: its common name, None if it has not just one."""
GUESSES_PER_S = 1.0
"""So many wrong tokens are answered at once; after a pause, GUESSES_AT_ONCE_MAX."""
GUESSES_AT_ONCE_MAX = 10
GUESS_WAIT_S = 1.0
"""How long the answer to each further wrong token waits. A right token never waits, whoever guesses at its address."""


class Guesses:
    """Counts wrong tokens, from whatever address: behind a proxy or a NAT, all have one.

    `note` is called for each of them.
    """

    def __init__(self, clock_s: Callable[[], float], note: Callable[[], None]) -> None:
        self._clock_s = clock_s
        self._note = note
        self._left = float(GUESSES_AT_ONCE_MAX)
        self._since_s = clock_s()

    def wait_s(self) -> float:
        """How long the answer to one more wrong token has to wait."""
        self._note()
        now_s = self._clock_s()
        self._left = min(GUESSES_AT_ONCE_MAX, self._left + GUESSES_PER_S * (now_s - self._since_s))
        self._since_s = now_s
        if self._left < 1:
            return GUESS_WAIT_S
        self._left -= 1
        return 0.0


class Partners:
    """Every partner, by the hashes of its active tokens."""

    def __init__(self, guesses: Guesses) -> None:
        self._guesses = guesses
        self._by_id: dict[str, Partner] = {}
        self._by_sha256: dict[str, Partner] = {}

    def clear(self) -> None:
        """Nobody is a partner: the topic was made anew, and is about to be read."""
        self._by_id.clear()
        self._by_sha256.clear()

    def put(self, partner_id: str, partner: Partner | None) -> None:
        """Sets the newest state of a partner; None removes it."""
        before = self._by_id.pop(partner_id, None)
        for token in before.tokens if before else ():
            self._by_sha256.pop(token.sha256, None)
        if partner is not None:
            self._by_id[partner_id] = partner
            self._by_sha256.update((token.sha256, partner) for token in partner.active_tokens())

    def authenticate(self, tokens: list[str], state: Mapping[str, Any] | None = None) -> Partner:
        """The partner of the token. `tokens`: the values of all `token` headers. `state`: of the request.

        A certificate of the client's that names a partner needs no token, and takes none of another partner. Raises
        UnauthorizedError if there is not exactly one token, or if it is not active. A partner without one is nobody.
        """
        if state is not None and CERTIFIED in state:
            certified = self._by_id.get(state[CERTIFIED])
            if certified is None or not certified.active_tokens():
                raise UnauthorizedError(self._guesses.wait_s())
            if not tokens or self.authenticate(tokens).partner_id == certified.partner_id:
                return certified
            raise UnauthorizedError(self._guesses.wait_s())
        if len(tokens) != 1 or len(tokens[0]) > TOKEN_CHARS_MAX:
            raise UnauthorizedError(self._guesses.wait_s())
        partner = self._by_sha256.get(
            token_sha256(tokens[0].strip(" \t"))
        )  # white space around a header's value is not part of it
        if partner is None:
            raise UnauthorizedError(self._guesses.wait_s())
        return partner
