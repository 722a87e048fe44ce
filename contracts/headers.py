"""The headers of an event, and one rule for each. `event.py` reads by it, and the AsyncAPI document quotes it."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from contracts import limits
from contracts.partner import PARTNER_ID

EVENT_TYPE = "integration.orders.upsert.v1"
"""It names the form of the value: the JSON of an order. A later form, as one with encrypted fields, gets another type.

So a reader that does not know a type refuses the event; it cannot overlook that the value says something else.
"""

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_RFC_3339 = (
    "(?!0000)[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(?:\.[0-9]{1,9})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_TIME = re.compile(_RFC_3339, re.ASCII)


def rfc_3339(time: datetime, timespec: str = "milliseconds") -> str:
    """The time in UTC, as headers and the JSON of commands have it. `timespec`: as of `isoformat`."""
    return time.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def parse_rfc_3339(text: str) -> datetime | None:
    """The time in UTC. None for any other text: no zone, no seconds, a day or a year that is not there."""
    if _TIME.fullmatch(text) is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class Header:
    """One header. `pattern` matches the whole value, in the syntax that Python and ECMA-262 share.

    `should` completes "header … should be …"; `about` says more. The pattern of a binary header is for its hex digits.
    A header that is not read, or only sent back, may have any value in events of other writers. A time is read in more
    forms than its pattern allows. The pattern is what the ingress writes or once wrote, and what other writers must
    send.
    """

    name: str
    pattern: re.Pattern[str]
    should: str
    about: str = ""
    is_required: bool = False
    is_read: bool = True
    is_binary: bool = False


def _header(name: str, pattern: str, should: str, about: str = "", **how: bool) -> Header:
    return Header(name, re.compile(pattern, re.ASCII), should, about, **how)


SPECVERSION = _header("ce_specversion", r"1\.0", "1.0", is_required=True)
TYPE = _header(
    "ce_type",
    re.escape(EVENT_TYPE),
    EVENT_TYPE,
    "It names the form of the value. A later form, as one with encrypted fields, has another type: refuse a type that "
    "you do not know.",
    is_required=True,
)
ID = _header(
    "ce_id",
    f"({_UUID})/(0|[1-9][0-9]{{0,2}})",
    f"<request id, a lower-case UUID>/<index, 0 to {limits.ORDERS_PER_REQUEST_MAX - 1}>",
    is_required=True,
)
SOURCE = _header("ce_source", f"/partners/({PARTNER_ID.pattern})", "/partners/<partner id>", is_required=True)
TIME = _header(
    "ce_time", _RFC_3339, "an RFC 3339 time with its zone", "Not written since 2.0: the time of the record counts."
)
CONTENT_TYPE = _header(
    "content-type", "application/json", "application/json", "Not written since 2.0: without it, it is that.",
    is_read=False,
)  # fmt: skip
REQUEST_SIZE, REQUEST_INVALID = (
    _header(name, "[0-9]{1,3}|0[0-9]{3}|1000", f"a number from 0 to {limits.ORDERS_PER_REQUEST_MAX}", about)
    for name, about in (("ce_requestsize", ""), ("ce_requestinvalid", "Beside ce_requestsize, without it, it is 0."))
)
REQUEST_DIGEST = _header("ce_requestdigest", "[0-9a-f]{32}", "32 lower-case hex digits")
CORRELATION_ID = _header(
    "kafka_correlationId", _UUID, "the request id of ce_id",
    "The ingress does not write it since 2.0. Beside kafka_replyTopic, up to 1024 bytes of any kind come back in the "
    "outcome's header of this name.",
    is_read=False,
)  # fmt: skip
REPLY_TOPIC = _header("kafka_replyTopic", "[a-zA-Z0-9._-]{1,249}", "the name of a topic")
REPLY_PARTITION = _header(
    "kafka_replyPartition",
    "[0-7][0-9a-f]{7}",
    "4 bytes, big endian, not negative",
    "Without kafka_replyTopic it is a partition of orders.results.",
    is_binary=True,
)
TRACEPARENT = _header(
    "traceparent", "[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", "a W3C traceparent", is_read=False
)
ORIGIN_PARTITION = _header("ce_originpartition", "0|[1-9][0-9]{0,3}", "a partition")
ORIGIN_OFFSET = _header("ce_originoffset", "0|[1-9][0-9]{0,17}", "an offset")
ORIGIN_TIME = _header("ce_origintime", _RFC_3339, "an RFC 3339 time with its zone")

ORIGIN = (ORIGIN_PARTITION, ORIGIN_OFFSET, ORIGIN_TIME)
"""An event that was redriven from the dead-letter topic has all three. Other events have none."""

EVENT = (
    SPECVERSION, TYPE, ID, SOURCE, TIME, CONTENT_TYPE, REQUEST_SIZE, REQUEST_INVALID, REQUEST_DIGEST, CORRELATION_ID,
    REPLY_TOPIC, REPLY_PARTITION, TRACEPARENT, *ORIGIN,
)  # fmt: skip

WRITTEN_ALWAYS = (SPECVERSION, TYPE, ID, SOURCE, REQUEST_SIZE)
"""The headers that every event of the ingress has."""
