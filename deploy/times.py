"""Times as people type them."""

import re
from datetime import UTC, datetime, timedelta

from deploy.errors import SelectionError

_AGO = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
HELP = "2026-11-24T10:00 (UTC unless it names a zone), or an age: 30m, 2h, 7d."


def moment(text: str, now: datetime) -> datetime:
    """The time that `text` names, in UTC. Raises SelectionError."""
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise SelectionError(f"{text!r} is not a time. Write {HELP}") from None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def period(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    """Both times that were typed, in UTC; ages count from the same moment. Raises SelectionError."""
    now = datetime.now(UTC)
    first, end = (None if text is None else moment(text, now) for text in (since, until))
    return first, end
