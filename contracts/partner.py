"""Partners and their tokens: the records of orders.partners.

A token is `ord_live_<key id>_<secret><crc32>`. The prefix lets secret scanners find a leaked token. The key id names a
token in a log without revealing it. The checksum tells a mistyped token from an unknown one. Only the token's SHA-256
is kept: the secret has 160 random bits, so a slow hash would add nothing.
"""

import hashlib
import re
import zlib
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from contracts import limits
from contracts.errors import OrdersError

PARTNER_ID = re.compile(rf"[a-z0-9][a-z0-9-]{{0,{limits.PARTNER_ID_CHARS_MAX - 1}}}", re.ASCII)
TOKENS_PER_PARTNER_MAX = 10

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_KEY_ID_CHARS, _SECRET_CHARS, _CHECKSUM_CHARS = 8, 27, 6

Choose = Callable[[str], str]
"""Picks one character of the text at random. Outside of tests it is `secrets.choice`."""


class PartnerRecordError(OrdersError):
    """A record of orders.partners that is not a partner. The reader logs it and goes on."""


class TokenRecord(BaseModel):
    """What is kept of one token. `sha256` is 64 hex digits over the whole token."""

    model_config = ConfigDict(frozen=True)

    key_id: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    created: AwareDatetime
    status: Literal["active", "revoked"] = "active"


class Partner(BaseModel):
    """A partner; `orders_per_s` is its rate limit in orders a second for each ingress process, None for no limit."""

    model_config = ConfigDict(frozen=True)

    partner_id: Annotated[str, Field(pattern=f"^{PARTNER_ID.pattern}$")]
    tokens: Annotated[list[TokenRecord], Field(max_length=TOKENS_PER_PARTNER_MAX)]
    orders_per_s: Annotated[int, Field(ge=1)] | None = None

    def active_tokens(self) -> list[TokenRecord]:
        return [token for token in self.tokens if token.status == "active"]

    def with_token(self, token: str, created: datetime) -> "Partner":
        """The partner with one more token. If there are too many, removes revoked ones, the oldest first."""
        tokens = [*self.tokens, TokenRecord(key_id=key_id_of(token), sha256=token_sha256(token), created=created)]
        for revoked in [kept for kept in tokens if kept.status == "revoked"]:
            if len(tokens) > TOKENS_PER_PARTNER_MAX:
                tokens.remove(revoked)
        return self.model_copy(update={"tokens": tokens})

    def with_revoked(self, key_id: str) -> "Partner":
        tokens = [
            token.model_copy(update={"status": "revoked"}) if token.key_id == key_id else token for token in self.tokens
        ]
        return self.model_copy(update={"tokens": tokens})

    def encode(self) -> bytes:
        return self.model_dump_json().encode()


def decode_partner(key: bytes | None, value: bytes) -> Partner:
    """Raises PartnerRecordError for anything that is not a partner under its own key."""
    try:
        partner = Partner.model_validate_json(value)
    except ValidationError as error:
        raise PartnerRecordError(
            "not a partner record: " + "; ".join(map(_told, error.errors(include_url=False, include_input=False)))
        ) from None
    if partner.partner_id.encode() != key:
        raise PartnerRecordError(f"the record of partner {partner.partner_id} has another key than that")
    return partner


def _told(violation: ErrorDetails) -> str:
    """Without what stands there: a hash, or a token that somebody took for one."""
    return f"{'.'.join(map(str, violation['loc']))}: {violation['msg']}".removeprefix(": ")


def new_token(choose: Choose) -> str:
    key_id = "".join(choose(_BASE62) for _ in range(_KEY_ID_CHARS))
    secret = "".join(choose(_BASE62) for _ in range(_SECRET_CHARS))
    return _with_checksum(f"ord_live_{key_id}_{secret}")


def _with_checksum(body: str) -> str:
    rest, digits = zlib.crc32(body.encode()), ""
    while rest:
        rest, digit = divmod(rest, len(_BASE62))
        digits = _BASE62[digit] + digits
    return body + digits.rjust(_CHECKSUM_CHARS, _BASE62[0])


def key_id_of(token: str) -> str:
    """The part of a token that may be shown. For a token of another form (the demo's), the start of its hash."""
    parts = token.split("_", 3)
    if token.startswith("ord_live_") and len(parts) == 4 and _with_checksum(token[:-_CHECKSUM_CHARS]) == token:
        return parts[2]
    return token_sha256(token)[:_KEY_ID_CHARS]


def token_sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
