"""What is told of an error that nobody expected: its class, its place, and its text only if that quotes no data.

The text of a ValueError or a KeyError often is the value itself: a name, a token.
"""

import sys
import traceback

from contracts.errors import OrdersError

_PRIVATE_TEXT = "(its text is left out: it may quote data)"
_TELLING = (
    OrdersError, OSError, RuntimeError, SystemError, ImportError, AttributeError, NameError, TypeError, MemoryError,
    KeyboardInterrupt,
)  # fmt: skip
"""Classes whose texts are made of names in code, of the system's words, or by us."""


def text_of(error: BaseException) -> str:
    """As much of its text as a log may hold."""
    psycopg = sys.modules.get("psycopg")
    if psycopg is not None and isinstance(error, psycopg.Error):
        from consumer.postgres.describe import describe  # loaded already, or there would be no such error

        return describe(error)
    kafka = sys.modules.get("confluent_kafka")
    if kafka is not None and isinstance(error, kafka.KafkaException):
        return str(error)  # the client library quotes no record
    return str(error) if isinstance(error, _TELLING) else _PRIVATE_TEXT


def place_of(error: BaseException) -> str:
    """Where it was raised: `file:line`, or an empty text."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def trace_of(error: BaseException) -> str:
    """The stack trace of an error, and of those that led to it, the first one first."""
    return "\n".join(_lines(error, set()))


def _lines(error: BaseException, seen: set[int]) -> list[str]:
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    lines = [] if before is None or id(before) in seen else [*_lines(before, seen), "", "This led to:", ""]
    frames = "".join(traceback.format_tb(error.__traceback__)).splitlines()
    lines += ["Traceback (most recent call last):", *frames] if frames else []
    lines.append(f"{type(error).__qualname__}: {text_of(error)}")
    for part in getattr(error, "exceptions", ()):  # of an ExceptionGroup
        lines += [] if id(part) in seen else ["", "One of them:", *_lines(part, seen)]
    return lines
