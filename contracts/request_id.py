"""Ids of requests. Every id carries whose it is, so that any ingress knows its own partner's ids, before and after
restarts, without having been there when they were given out (P6): the last 32 bits are a hash over the rest and the
partner.

An id without a key is a UUIDv7; one of an Idempotency-Key is the UUIDv5 of the partner and the key, so that asking
again gives the same id everywhere. Each has enough bits left: 42 random ones a millisecond, and 90 of SHA-1.
"""

from datetime import UTC, datetime
from hashlib import blake2b
from uuid import UUID, uuid5

_NAMESPACE = UUID("6f1c7d6e-5d0b-4c56-9f0a-2f3a7f0f4b11")
_TAG_BYTES = 4


def tagged(request_id: UUID, partner_id: str) -> UUID:
    """`request_id` with its last 32 bits replaced by the partner's tag."""
    rest = request_id.bytes[:-_TAG_BYTES]
    return UUID(bytes=rest + blake2b(rest + partner_id.encode(), digest_size=_TAG_BYTES).digest())


def keyed(key: str, partner_id: str) -> UUID:
    """The id of every request that this partner sends with this Idempotency-Key."""
    return tagged(uuid5(uuid5(_NAMESPACE, partner_id), key), partner_id)


def given_at(request_id: UUID) -> datetime | None:
    """When an id without a key was given out, to the millisecond; the id of a key does not tell."""
    if request_id.version != 7:
        return None
    try:
        return datetime.fromtimestamp((request_id.int >> 80) / 1000, UTC)
    except (ValueError, OverflowError):  # a year that nobody can have
        return None


def belongs_to(request_id: UUID, partner_id: str) -> bool:
    """Whether this id was given to this partner; an id that was never given out passes once in 2^32."""
    return tagged(request_id, partner_id) == request_id
