"""What goes into a dead letter if the whole event does not fit. Pure.

A value of some hundred bytes in Kafka can be megabytes once it is decompressed. A letter that no topic takes would hold
up its partition forever.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from contracts import headers as contract
from contracts.event import Headers

LEFT_OUT_PREFIX = "orders_letter_left_out_"
RECORD_OVERHEAD_BYTES = 256
HEADER_OVERHEAD_BYTES = 16
KEPT_HEADER_BYTES_MAX = 1024
_KEPT_NAMES = frozenset(header.name for header in contract.EVENT)


@dataclass(frozen=True, slots=True)
class Parts:
    """Key, value and headers of an event, or what a letter has of them."""

    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that is not in a letter: its size, and the SHA-256 over it in hex digits."""

    size_bytes: int
    sha256: str


def size_of(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """How many bytes a record takes, with what Kafka's format adds."""
    names = sum(len(name.encode()) + len(content or b"") + HEADER_OVERHEAD_BYTES for name, content in headers)
    return RECORD_OVERHEAD_BYTES + len(key or b"") + len(value or b"") + names


def fit(whole: Parts, own: Headers, bytes_max: int) -> Parts:
    """As much of the event as fits into `bytes_max` beside the letter's `own` headers.

    The value goes first, then all headers that the consumer does not read, then the key. What goes is described by
    headers, in its place.
    """
    for gone in ((), ("value",), ("headers",), ("value", "headers"), ("value", "headers", "key")):
        parts = _without(whole, gone)
        if size_of(parts.key, parts.value, [*parts.headers, *own]) <= bytes_max:
            break
    return parts


def left_out_of(headers: Mapping[str, str]) -> dict[str, LeftOut]:
    """By part, what the headers of a letter say was left out."""
    found = {}
    for part in ("value", "headers", "key"):
        size, digest = (headers.get(f"{LEFT_OUT_PREFIX}{part}_{what}", "") for what in ("bytes", "sha256"))
        if size.isdecimal() and len(size) <= 18:
            found[part] = LeftOut(int(size), digest)
    return found


def digest_of(content: bytes) -> str:
    return sha256(content).hexdigest()


def is_original(event: Parts, left_out: Mapping[str, LeftOut]) -> bool:
    """Whether everything that was left out of a letter is what this event has."""
    contents = _contents(event)
    return all(about.sha256 == digest_of(contents[part] or b"") for part, about in left_out.items())


def digests(parts: Parts, left_out: Mapping[str, LeftOut]) -> dict[str, str]:
    """By part, the SHA-256 of the event, from what a letter has of it and what it says of the rest. Without a part that
    is neither there nor described."""
    own = {part: digest_of(content) for part, content in _contents(parts).items() if content is not None}
    return own | {part: about.sha256 for part, about in left_out.items()}


def _contents(whole: Parts) -> dict[str, bytes | None]:
    headers = b"\n".join(name.encode() + b": " + (content or b"") for name, content in whole.headers)
    return {"value": whole.value, "headers": headers, "key": whole.key}


def _without(whole: Parts, gone: Sequence[str]) -> Parts:
    contents = _contents(whole) if gone else {}
    described = [header for part in gone for header in _described(part, contents[part])]
    kept = list(_kept(whole.headers)) if "headers" in gone else list(whole.headers)
    return Parts(None if "key" in gone else whole.key, None if "value" in gone else whole.value, [*kept, *described])


def _kept(headers: Headers) -> Iterator[tuple[str, bytes | None]]:
    """The headers that the consumer reads; of a name that is there twice, the last one counts."""
    for name, content in dict(headers).items():
        if name in _KEPT_NAMES and len(content or b"") <= KEPT_HEADER_BYTES_MAX:
            yield name, content


def _described(part: str, content: bytes | None) -> Iterator[tuple[str, bytes | None]]:
    if content is not None:
        yield f"{LEFT_OUT_PREFIX}{part}_bytes", str(len(content)).encode()
        yield f"{LEFT_OUT_PREFIX}{part}_sha256", digest_of(content).encode()
