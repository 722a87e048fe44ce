"""Finds the partner of a token. Pure; used on the event loop only."""

from contracts.partner import Partner, token_sha256
from ingress.errors import UnauthorizedError

TOKEN_CHARS_MAX = 200


class Partners:
    """Every partner, by the hashes of its active tokens."""

    def __init__(self) -> None:
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

    def authenticate(self, tokens: list[str]) -> Partner:
        """The partner of the token. `tokens`: the values of all `token` headers.

        Raises UnauthorizedError if there is not exactly one, or if it is not an active token.
        """
        if len(tokens) != 1 or len(tokens[0]) > TOKEN_CHARS_MAX:
            raise UnauthorizedError
        partner = self._by_sha256.get(
            token_sha256(tokens[0].strip(" \t"))
        )  # white space around a header's value is not part of it
        if partner is None:
            raise UnauthorizedError
        return partner
