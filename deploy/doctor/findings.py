"""What a check found, in one line: how it is, and what to do."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from confluent_kafka import KafkaException

from contracts.errors import OrdersError


class Status(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """Nothing is lost by it now."""
    WRONG = "wrong"
    """Orders are not taken or not applied, or a promise does not hold; or nobody can tell."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`text`: one sentence or some. If it is not ok, the last one says what to do."""

    check: str
    status: Status
    text: str


Check = Callable[[], Iterable[Finding]]


def found_by(name: str, check: Check) -> Iterator[Finding]:
    """What `check` finds. An error that it meets is a finding too."""
    try:
        yield from check()
    except OrdersError as error:
        yield Finding(name, Status.WRONG, str(error))
    except KafkaException as error:
        text = f"Kafka does not answer: {error.args[0].str()}. Look at its log"
        yield Finding(name, Status.WRONG, text)


def wrong_or_ok(name: str, wrong: Iterable[str], ok: str) -> list[Finding]:
    """A finding for each text, or one that says that all is well."""
    return [Finding(name, Status.WRONG, text) for text in wrong] or [Finding(name, Status.OK, ok)]
