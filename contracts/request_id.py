"""Request ids. The last 32 bits of an id are a tag: a hash over its other bits and the partner id.

So any ingress recognizes the ids of a partner, also after a restart and if another process issued them (P6). Without an
Idempotency-Key, an id is a UUIDv7. With one, it is the UUIDv5 of the partner and the key, so that the same request has
the same id in every process. Enough bits are left: 42 random ones for each millisecond, or 90 of SHA-1.
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


def issued_at(request_id: UUID) -> datetime | None:
    """When an id was issued, to the millisecond. None for an id of an Idempotency-Key, which has no time."""
    if request_id.version != 7:
        return None
    try:
        return datetime.fromtimestamp((request_id.int >> 80) / 1000, UTC)
    except (ValueError, OverflowError):  # no datetime has such a year
        return None


def belongs_to(request_id: UUID, partner_id: str) -> bool:
    """Whether this id was issued for this partner. An id that was never issued passes once in 2^32."""
    return tagged(request_id, partner_id) == request_id
