"""Records that must stay readable forever: the files of tests/golden, and how the code reads them.

A file is `{"about", "record": {partition, offset, time_ms, key, value, headers}, "reads_as"}`. Bytes are text where
they are UTF-8, else `{"hex": …}`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from consumer.core.decode import decode
from consumer.core.record import Event, Record
from consumer.letters.letter import read_letter
from consumer.letters.states import LetterStates, State
from contracts.event import EventContext, Headers, RecordError, read_headers
from contracts.result import Result, ResultError, decode_results

Json = dict[str, Any]


@dataclass(frozen=True)
class Golden:
    record: Record
    reads_as: Json


def load(file: Path) -> Golden:
    loaded = json.loads(file.read_text())
    said = loaded["record"]
    headers: Headers = [(name, _bytes(value)) for name, value in said["headers"]]
    record = Record(
        said["partition"], said["offset"], said["time_ms"], _bytes(said["key"]), _bytes(said["value"]), headers
    )
    return Golden(record, loaded["reads_as"])


def dump(file: Path, about: str, record: Record) -> None:
    """How the code reads it today is how it must read it forever."""
    said = {
        "partition": record.partition,
        "offset": record.offset,
        "time_ms": record.time_ms,
        "key": _text(record.key),
        "value": _text(record.value),
        "headers": [[name, _text(value)] for name, value in record.headers],
    }
    written = {"about": about, "record": said, "reads_as": READERS[file.parent.name](record)}
    file.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n")


def _bytes(said: str | dict[str, str] | None) -> bytes | None:
    return bytes.fromhex(said["hex"]) if isinstance(said, dict) else None if said is None else said.encode()


def _text(value: bytes | None) -> str | dict[str, str] | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return {"hex": value.hex()} if value is not None else None


def read_event(record: Record) -> Json:
    """For a refused record only the class of the error counts: a text may improve."""
    decoded = decode(record)
    if not isinstance(decoded, Event):
        return {"stage": decoded.stage, "error": decoded.error, "headers": _context(decoded.context, decoded.index)}
    return {
        "canonical": decoded.canonical.decode(),
        "content_hash": decoded.content_hash.hex(),
        "offset": decoded.place,
        "time": decoded.time.isoformat(),
        "is_foreign": decoded.is_foreign,
        "headers": _context(decoded.context, decoded.index),
    }


def read_result(record: Record) -> Json:
    """A record of one request has its key."""
    try:
        results = list(map(_result, decode_results(record.value)))
    except ResultError:
        return {"error": "ResultError"}
    return {"results": results} if record.key is None else results[0]


def _result(result: Result) -> Json:
    return {
        "request_id": result.request_id,
        "outcomes": {outcome.value: indexes for outcome, indexes in result.outcomes.items()},
        "digest": result.digest,
        "conflict": result.conflict,
        "stored": result.stored,
    }


def read_letter_or_note(record: Record) -> Json:
    """A letter with what its event said; a note by what it does to the letter before it."""
    letter = read_letter(record)
    if letter is None:
        before = range(record.offset)
        settles = [offset for offset in before if _after(record, offset) is not State.OPEN]
        reopens = [offset for offset in before if _after(record, offset, "discarded") is State.OPEN]
        return {"settles": settles, **({"reopens": reopens} if reopens else {})}
    try:
        said: Json | None = _context(*read_headers(record.headers))
    except RecordError:
        said = None
    return {
        "event": [letter.partition, letter.offset],
        "stage": letter.stage,
        "error": letter.error,
        "reason": letter.reason,
        "partner": letter.partner_id,
        "order": letter.order_id,
        "headers": said,
    }


def _after(note: Record, offset: int, *settled: str) -> State | None:
    """The state that the note leaves a letter in at `offset`, if other notes came before."""
    reason = [("__connect.errors.partition", b"0"), ("__connect.errors.offset", b"0")]
    states = LetterStates({note.partition: 0}, {note.partition: note.offset + 1}, lambda _: True)
    at = ("orders_letter_offset", str(offset).encode())
    earlier = [replace(note, headers=[("orders_letter_settled", kind.encode()), at]) for kind in settled]
    states.add([Record(note.partition, offset, 0, note.key, None, reason), *earlier, note])
    return states.state(note.partition, offset)


def _context(context: EventContext | None, index: int) -> Json | None:
    if context is None:
        return None
    reply_to, origin = context.reply_to, context.origin
    return {
        "request_id": str(context.request_id),
        "index": index,
        "partner": context.partner_id,
        "time": None if context.time is None else context.time.isoformat(),
        "size": context.size,
        "invalid": context.invalid,
        "digest": context.digest,
        "reply_to": None if reply_to is None else [reply_to.topic, reply_to.partition],
        "origin": None if origin is None else [origin.partition, origin.offset, origin.time.isoformat()],
    }


READERS: dict[str, Callable[[Record], Json]] = {
    "upserts": read_event,
    "results": read_result,
    "dlq": read_letter_or_note,
}
"""By the folder below tests/golden."""
