"""The request header Idempotency-Key, and the digest that tells whether two bodies are the same. Pure.

draft-ietf-httpapi-idempotency-key-header puts the key in quotation marks; most clients send it without them. Both
spellings are the same key.
"""

import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b

from contracts.strict_json import Violation
from ingress.bad_requests import MALFORMED_KEY

KEY_CHARS_MAX = 255
DIGEST_BYTES = 16
_KEY = re.compile(rf"[\x21-\x7e]{{1,{KEY_CHARS_MAX}}}", re.ASCII)


def parse_key(headers: Sequence[str]) -> str | None:
    """The key, or None without the header. `headers`: the values of all headers of that name. Raises Violation."""
    if not headers:
        return None
    key = headers[0].strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if len(headers) > 1 or _KEY.fullmatch(key) is None:
        raise Violation("Idempotency-Key", MALFORMED_KEY.said(characters_max=KEY_CHARS_MAX))
    return key


def digest_of(values: Iterable[bytes]) -> str:
    """32 hex digits over the canonical orders. White space, spelling of numbers and unknown fields do not matter."""
    digest = blake2b(digest_size=DIGEST_BYTES)
    for value in values:
        digest.update(value)
        digest.update(b"\n")
    return digest.hexdigest()
