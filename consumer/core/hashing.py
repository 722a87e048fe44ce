"""The hash that says whether a value is that of a row."""

from hashlib import blake2b

CONTENT_HASH_BYTES = 16


def hash_of(value: bytes) -> bytes:
    return blake2b(value, digest_size=CONTENT_HASH_BYTES).digest()
