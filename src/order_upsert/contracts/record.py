"""Records of orders.upserts: CloudEvents Kafka binding, binary mode, and the reply headers (design 4)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from order_upsert.contracts import limits
from order_upsert.contracts.errors import OrdersError
from order_upsert.contracts.partner import PARTNER_ID

EVENT_TYPE = "integration.orders.upsert.v1"
CORRELATION_HEADER = "kafka_correlationId"
UNREADABLE = "order_upsert_unreadable"
"""The one header of a record whose headers the client library cannot give us."""

_EVENT_ID = re.compile(r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/(0|[1-9][0-9]{0,2})")
_PARTITION = re.compile(r"0|[1-9][0-9]{0,3}")
_OFFSET = re.compile(r"0|[1-9][0-9]{0,17}")
_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{32}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

_ORIGIN_PARTITION, _ORIGIN_OFFSET, _ORIGIN_TIME = "ce_originpartition", "ce_originoffset", "ce_origintime"
ORIGIN_HEADERS = {_ORIGIN_PARTITION, _ORIGIN_OFFSET, _ORIGIN_TIME}

Headers = Sequence[tuple[str, bytes | None]]
Request = tuple[UUID, str]
"""(request_id, partner_id): what a request is known by; foreign writers may use an id that another partner used."""


class RecordError(OrdersError):
    """A record that is no order event. Raised while reading it; it goes to the dead-letter topic with this text."""


@dataclass(frozen=True, slots=True)
class ReplyTo:
    """Where the outcome of a request goes; without a partition, the key (request_id) decides."""

    topic: str
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What all events of one request share. `invalid` counts the items that were not published.

    `digest` is there where the partner sent an Idempotency-Key: 32 hex digits over the request's parsed value.
    """

    request_id: UUID
    partner_id: str
    time: datetime
    size: int
    invalid: int
    reply_to: ReplyTo | None = None
    traceparent: str | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an event stood first, before it was redriven from the dead-letter topic: its place among all events."""

    partition: int
    offset: int
    time: datetime

    def headers(self) -> list[tuple[str, bytes | None]]:
        time = self.time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        texts = {_ORIGIN_PARTITION: str(self.partition), _ORIGIN_OFFSET: str(self.offset), _ORIGIN_TIME: time}
        return [(name, text.encode()) for name, text in texts.items()]


@dataclass(frozen=True, slots=True)
class EventContext:
    """What the headers of an event say, but for its index: one object is shared by the events of a request.

    `size` and `invalid` are None where the writer did not tell.
    """

    request_id: UUID
    partner_id: str
    time: datetime | None
    size: int | None
    invalid: int | None
    reply_to: ReplyTo | None
    origin: Origin | None = None
    digest: str | None = None

    @property
    def request(self) -> Request:
        return self.request_id, self.partner_id


class HeaderWriter:
    """Headers of every event of one request: what they share is encoded once."""

    def __init__(self, request: RequestContext) -> None:
        self._prefix = f"{request.request_id}/"
        shared = {
            "ce_specversion": "1.0",
            "ce_source": f"/partners/{request.partner_id}",
            "ce_type": EVENT_TYPE,
            "ce_time": request.time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "content-type": "application/json",
            "ce_requestsize": str(request.size),
            "ce_requestinvalid": str(request.invalid),
            CORRELATION_HEADER: str(request.request_id),
        }
        if request.digest is not None:
            shared["ce_requestdigest"] = request.digest
        if request.traceparent is not None:
            shared["traceparent"] = request.traceparent
        self._shared: list[tuple[str, str | bytes | None]] = [(name, text.encode()) for name, text in shared.items()]
        if request.reply_to is not None:
            self._shared.append(("kafka_replyTopic", request.reply_to.topic.encode()))
            if request.reply_to.partition is not None:
                self._shared.append(("kafka_replyPartition", request.reply_to.partition.to_bytes(4, "big")))

    def headers(self, index: int) -> list[tuple[str, str | bytes | None]]:
        return [("ce_id", f"{self._prefix}{index}".encode()), *self._shared]


def is_traceparent(text: str) -> bool:
    """Whether `text` is a W3C traceparent: only such a header is passed on."""
    return _TRACEPARENT.fullmatch(text) is not None


def read_headers(headers: Headers | None) -> tuple[EventContext, int]:
    """What the headers say, and the index. Raises RecordError that names the first header which is missing or wrong."""
    found = {name: value for name, value in headers or () if value is not None}
    if (UNREADABLE, None) in (headers or ()):
        raise RecordError("the name of a header is not UTF-8")
    if _text(found, "ce_specversion") != "1.0":
        raise RecordError("header ce_specversion should be 1.0")
    if _text(found, "ce_type") != EVENT_TYPE:
        raise RecordError(f"header ce_type should be {EVENT_TYPE}")
    event_id = _EVENT_ID.fullmatch(_text(found, "ce_id"))
    if event_id is None:
        raise RecordError(
            f"header ce_id should be <request id, a lower-case UUID>/<index, 0 to {limits.ORDERS_PER_REQUEST_MAX - 1}>"
        )
    partner = _text(found, "ce_source").removeprefix("/partners/")
    if not found["ce_source"].startswith(b"/partners/") or PARTNER_ID.fullmatch(partner) is None:
        raise RecordError("header ce_source should be /partners/<partner id>")
    context = EventContext(
        request_id=UUID(event_id[1]),
        partner_id=partner,
        time=_time(found),
        size=_count(found, "ce_requestsize"),
        invalid=_count(found, "ce_requestinvalid"),
        reply_to=_reply_to(found),
        origin=_origin(found),
        digest=_digest(found),
    )
    return context, int(event_id[2])


def _text(found: dict[str, bytes], name: str) -> str:
    try:
        return found[name].decode()
    except KeyError:
        raise RecordError(f"header {name} is missing") from None
    except UnicodeDecodeError:
        raise RecordError(f"header {name} is not UTF-8") from None


def _time(found: dict[str, bytes], name: str = "ce_time") -> datetime | None:
    if name not in found:  # optional in CloudEvents
        return None
    try:
        time = datetime.fromisoformat(_text(found, name))
        if time.tzinfo is None:
            raise ValueError
        return time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise RecordError(f"header {name} should be an RFC 3339 time with its zone") from None


def _origin(found: dict[str, bytes]) -> Origin | None:
    if not ORIGIN_HEADERS & found.keys():
        return None
    partition, offset = _text(found, _ORIGIN_PARTITION), _text(found, _ORIGIN_OFFSET)
    if not (_PARTITION.fullmatch(partition) and _OFFSET.fullmatch(offset)):
        raise RecordError(f"headers {_ORIGIN_PARTITION} and {_ORIGIN_OFFSET} should be numbers")
    time = _time(found, _ORIGIN_TIME)
    if time is None:
        raise RecordError(f"header {_ORIGIN_TIME} is missing")
    return Origin(int(partition), int(offset), time)


def _count(found: dict[str, bytes], name: str) -> int | None:
    if name not in found:
        return None
    text = _text(found, name)
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and int(text) <= limits.ORDERS_PER_REQUEST_MAX):
        raise RecordError(f"header {name} should be a number from 0 to {limits.ORDERS_PER_REQUEST_MAX}")
    return int(text)


def _digest(found: dict[str, bytes]) -> str | None:
    if "ce_requestdigest" not in found:
        return None
    text = _text(found, "ce_requestdigest")
    if _DIGEST.fullmatch(text) is None:
        raise RecordError("header ce_requestdigest should be 32 lower-case hex digits")
    return text


def _reply_to(found: dict[str, bytes]) -> ReplyTo | None:
    if "kafka_replyTopic" not in found:
        return None
    partition = found.get("kafka_replyPartition")
    if partition is not None and (len(partition) != 4 or partition[0] > 127):
        raise RecordError("header kafka_replyPartition should be 4 bytes, big endian, not negative")
    topic = _text(found, "kafka_replyTopic")
    if _TOPIC.fullmatch(topic) is None:
        raise RecordError("header kafka_replyTopic should be the name of a topic")
    return ReplyTo(topic, None if partition is None else int.from_bytes(partition, "big"))
