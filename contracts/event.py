"""Records of orders.upserts: CloudEvents Kafka binding, binary mode, and the reply headers (design 4)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from re import Match
from typing import NamedTuple
from uuid import UUID

from contracts import headers
from contracts.errors import OrdersError
from contracts.headers import Header

CORRELATION_HEADER = headers.CORRELATION_ID.name
CORRELATION_BYTES_MAX = 1024
"""A longer kafka_correlationId does not come back: it would be copied into every reply."""
ORIGIN_HEADERS = {header.name for header in headers.ORIGIN}
UNREADABLE = "order_upsert_unreadable"
"""The only header of a record whose headers the client library cannot decode."""
UNFETCHABLE = "order_upsert_unfetchable"
"""The one header of a record that the client library cannot read at all; its value is the name of the error."""

Headers = Sequence[tuple[str, bytes | None]]


class RequestKey(NamedTuple):
    """What identifies a request. The id alone does not: another writer may use the id of a partner's request."""

    request_id: UUID
    partner_id: str


class BodyKey(NamedTuple):
    """What identifies one body of a request. The index of an event counts within it.

    `digest` is None without an Idempotency-Key.
    """

    request_key: RequestKey
    digest: str | None


class RecordError(OrdersError):
    """A record that is not an order event. It becomes a dead letter with this text as its reason."""


@dataclass(frozen=True, slots=True)
class ReplyTo:
    """Where the outcome of a request goes. Without a partition, the record's key (the request id) decides.

    `topic`: None for orders.results, whatever its prefix is; then there is a partition.
    `correlation`: by what a writer that names a topic knows the reply; None for the request id.
    """

    topic: str | None
    partition: int | None = None
    correlation: bytes | None = None


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What all events of one request share. `invalid` counts the items that were not published.

    `digest`: 32 hex digits over the request's parsed value, or None without an Idempotency-Key.
    """

    request_id: UUID
    partner_id: str
    size: int
    invalid: int
    reply_to: ReplyTo | None = None
    traceparent: str | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """The first place of an event that was redriven from the dead-letter topic. It counts as its place in the order."""

    partition: int
    offset: int
    time: datetime

    def headers(self) -> list[tuple[str, bytes | None]]:
        texts = (str(self.partition), str(self.offset), headers.rfc_3339(self.time))
        return [(header.name, text.encode()) for header, text in zip(headers.ORIGIN, texts, strict=True)]


@dataclass(frozen=True, slots=True)
class EventContext:
    """What the headers of an event say, except its index. The events of a request share one object.

    `time`, `size` and `invalid` are None if the writer did not send them. Beside a `size`, no `invalid` means 0.
    """

    request_id: UUID
    partner_id: str
    time: datetime | None
    size: int | None
    invalid: int | None
    reply_to: ReplyTo | None
    origin: Origin | None = None
    digest: str | None = None
    _body_key: BodyKey | None = field(default=None, init=False, compare=False, repr=False)

    @property
    def body_key(self) -> BodyKey:
        """Built on first use, once for all events of the request."""
        if (known := self._body_key) is not None:
            return known
        made = BodyKey(RequestKey(self.request_id, self.partner_id), self.digest)
        object.__setattr__(self, "_body_key", made)
        return made


class HeaderWriter:
    """Writes the headers of the events of one request: those that say something. Encodes what they share only once.

    ce_id comes first: readers compare all others at once to see that events are of one request.
    """

    def __init__(self, request: RequestContext) -> None:
        self._prefix = f"{request.request_id}/"
        shared = [
            (headers.SPECVERSION, "1.0"),
            (headers.SOURCE, f"/partners/{request.partner_id}"),
            (headers.TYPE, headers.EVENT_TYPE),
            (headers.REQUEST_SIZE, str(request.size)),
        ]
        if request.invalid:
            shared.append((headers.REQUEST_INVALID, str(request.invalid)))
        if request.digest is not None:
            shared.append((headers.REQUEST_DIGEST, request.digest))
        if request.traceparent is not None:
            shared.append((headers.TRACEPARENT, request.traceparent))
        self._shared: list[tuple[str, str | bytes | None]] = [(header.name, text.encode()) for header, text in shared]
        if request.reply_to is not None:
            if request.reply_to.topic is not None:
                self._shared.append((headers.REPLY_TOPIC.name, request.reply_to.topic.encode()))
            if request.reply_to.partition is not None:
                self._shared.append((headers.REPLY_PARTITION.name, request.reply_to.partition.to_bytes(4, "big")))

    def headers(self, index: int) -> list[tuple[str, str | bytes | None]]:
        return [(headers.ID.name, f"{self._prefix}{index}".encode()), *self._shared]


def is_traceparent(text: str) -> bool:
    """Whether `text` is a W3C traceparent. Other texts are not passed on."""
    return headers.TRACEPARENT.pattern.fullmatch(text) is not None


def read_headers(written: Headers | None) -> tuple[EventContext, int]:
    """The context of an event and its index. Raises RecordError with the first header that is missing or wrong."""
    found = {name: value for name, value in written or () if value is not None}
    if UNFETCHABLE in found:
        raise RecordError("the client library cannot read this record, or one that was written together with it")
    if (UNREADABLE, None) in (written or ()):
        raise RecordError("the name of a header is not UTF-8")
    _required(found, headers.SPECVERSION)
    _required(found, headers.TYPE)
    event_id = _required(found, headers.ID)
    context = EventContext(
        request_id=UUID(event_id[1]),
        partner_id=_required(found, headers.SOURCE)[1],
        time=_time(found, headers.TIME) if headers.TIME.name in found else None,  # optional in CloudEvents
        size=_count(found, headers.REQUEST_SIZE),
        invalid=_count(found, headers.REQUEST_INVALID),
        reply_to=_reply_to(found),
        origin=_origin(found),
        digest=_required(found, headers.REQUEST_DIGEST)[0] if headers.REQUEST_DIGEST.name in found else None,
    )
    return context, int(event_id[2])


def _missing(header: Header) -> RecordError:
    return RecordError(f"header {header.name} is missing")


def _wrong(header: Header) -> RecordError:
    return RecordError(f"header {header.name} should be {header.should}")


def _required(found: dict[str, bytes], header: Header) -> Match[str]:
    try:
        match = header.pattern.fullmatch(found[header.name].decode())
    except KeyError:
        raise _missing(header) from None
    except UnicodeDecodeError:
        raise RecordError(f"header {header.name} is not UTF-8") from None
    if match is None:
        raise _wrong(header)
    return match


def _time(found: dict[str, bytes], header: Header) -> datetime:
    """Accepts any form of ISO 8601, which is more than the header's pattern: the topic has events with such times."""
    try:
        time = datetime.fromisoformat(found[header.name].decode())
        if time.tzinfo is None:
            raise ValueError
        return time.astimezone(UTC)
    except KeyError:
        raise _missing(header) from None
    except (ValueError, OverflowError):
        raise _wrong(header) from None


def _origin(found: dict[str, bytes]) -> Origin | None:
    if not ORIGIN_HEADERS & found.keys():
        return None
    partition = _required(found, headers.ORIGIN_PARTITION)[0]
    offset = _required(found, headers.ORIGIN_OFFSET)[0]
    return Origin(int(partition), int(offset), _time(found, headers.ORIGIN_TIME))


def _count(found: dict[str, bytes], header: Header) -> int | None:
    return int(_required(found, header)[0]) if header.name in found else None


def _reply_to(found: dict[str, bytes]) -> ReplyTo | None:
    partition = found.get(headers.REPLY_PARTITION.name)
    is_right = partition is None or headers.REPLY_PARTITION.pattern.fullmatch(partition.hex()) is not None
    number = None if partition is None else int.from_bytes(partition, "big")
    if headers.REPLY_TOPIC.name not in found:
        # Before 2.0 a partition alone was not read, so the topic has events with anything there.
        return ReplyTo(None, number) if is_right and number is not None else None
    if not is_right:
        raise _wrong(headers.REPLY_PARTITION)
    correlation = found.get(headers.CORRELATION_ID.name)
    if correlation is not None and len(correlation) > CORRELATION_BYTES_MAX:
        correlation = None
    return ReplyTo(_required(found, headers.REPLY_TOPIC)[0], number, correlation)
