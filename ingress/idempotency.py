"""The request header Idempotency-Key, and what makes two bodies the same. Pure.

Read as draft-ietf-httpapi-idempotency-key-header has it, a string in quotation marks, and as most clients send it,
without them: both are the same key.
"""

import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b

from contracts.strict_json import Violation

KEY_CHARS_MAX = 255
DIGEST_BYTES = 16
_KEY = re.compile(rf"[\x21-\x7e]{{1,{KEY_CHARS_MAX}}}", re.ASCII)


def parse_key(headers: Sequence[str]) -> str | None:
    """`headers`: the values of every header of that name. None where there is none. Raises Violation."""
    if not headers:
        return None
    key = headers[0].strip()
    if len(key) > 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if len(headers) > 1 or _KEY.fullmatch(key) is None:
        raise Violation(
            "Idempotency-Key", f"Should be there once, with 1 to {KEY_CHARS_MAX} visible ASCII characters, no spaces"
        )
    return key


def digest_of(values: Iterable[bytes]) -> str:
    """32 hex digits over the canonical orders: white space, the spelling of numbers and unknown fields do not count."""
    digest = blake2b(digest_size=DIGEST_BYTES)
    for value in values:
        digest.update(value)
        digest.update(b"\n")
    return digest.hexdigest()
