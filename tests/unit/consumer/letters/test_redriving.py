"""What becomes of each letter of a redrive, whatever Kafka says about each record."""

from collections.abc import Callable, Iterable
from uuid import UUID

import pytest

from consumer.core.record import Outgoing, Record, Rejected, Stage
from consumer.kafka.producer import AcknowledgedProducer, Sent
from consumer.letters.letter import Letter, dead_letter, read_letter
from consumer.letters.redriving import SEND_BYTES_MAX, Redriver, parts
from contracts.kafka_errors import Verdict
from contracts.settings import KafkaSettings
from contracts.topics import Topics
from support.installation import headers_of

SMALL, LARGE = b"{}", b"x" * 900_000


def letter(offset: int, value: bytes = SMALL, at: int | None = None) -> Letter:
    """A letter about the event at `offset` of partition 3."""
    headers = headers_of("p", offset, UUID(int=1))
    record = Record(3, offset, 0, f"k{offset}".encode(), value, headers)
    sent = dead_letter(Rejected(record, None, 0, Stage.TASK_PUT, "E", "why"), Topics())
    found = read_letter(Record(5, offset if at is None else at, 0, sent.key, sent.value, sent.headers))
    assert found is not None
    return found


class Kafka:
    """Judges the records of each `send_each` together, and remembers which keys went together."""

    def __init__(self, judge: Callable[[list[str]], Verdict | None]) -> None:
        self.events: list[list[str]] = []
        self.notes: list[str] = []
        self._judge = judge

    def send_each(self, records: Iterable[Outgoing]) -> list[Sent]:
        records = list(records)
        keys = [(record.key or b"").decode() for record in records]
        if not records:
            return []
        if records[0].topic == Topics().dlq:
            self.notes += keys
            verdict = self._judge(["note"])
        else:
            self.events.append(keys)
            verdict = self._judge(keys)
        return [Sent(record, verdict, "because") for record in records]


def redriver(monkeypatch: pytest.MonkeyPatch, kafka: Kafka) -> Redriver:
    monkeypatch.setattr(AcknowledgedProducer, "send_each", lambda _, records: kafka.send_each(records))
    return Redriver(KafkaSettings(kafka_bootstrap="127.0.0.1:1"), lambda: UUID(int=9))


def test_what_is_refused_together_is_tried_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = Kafka(lambda keys: Verdict.RECORD if "k1" in keys else None)
    failures = redriver(monkeypatch, kafka).redrive([letter(n) for n in range(3)])
    assert [(failure.letter.offset, failure.verdict) for failure in failures] == [(1, Verdict.RECORD)]
    assert kafka.events == [["k0", "k1", "k2"], ["k0"], ["k1"], ["k2"]]
    assert kafka.notes == ["k0", "k2"]


def test_after_an_outage_what_was_acknowledged_is_noted_and_nothing_more_is_published(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kafka = Kafka(lambda keys: Verdict.OUTAGE if "k1" in keys else None)
    failures = redriver(monkeypatch, kafka).redrive([letter(0), letter(1, LARGE), letter(2, LARGE)])
    assert [(failure.letter.offset, failure.verdict) for failure in failures] == [
        (1, Verdict.OUTAGE),
        (2, Verdict.OUTAGE),
    ]
    assert kafka.events == [["k0"], ["k1"]]
    assert kafka.notes == ["k0"]


def test_an_event_with_several_letters_is_published_once(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = Kafka(lambda _: None)
    redrive = redriver(monkeypatch, kafka).redrive
    assert redrive([letter(0), letter(1), letter(0, at=7)]) == redrive([letter(1, at=8), letter(2)]) == []
    assert kafka.events == [["k0", "k1"], ["k2"]]
    assert kafka.notes == ["k0", "k1", "k0", "k1", "k2"]


def test_an_event_that_was_published_but_not_noted_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = Kafka(lambda keys: Verdict.OUTAGE if keys == ["note"] else None)
    ((found, verdict, why),) = redriver(monkeypatch, kafka).redrive([letter(0)])
    assert (found.offset, verdict) == (0, Verdict.OUTAGE)
    assert why.startswith("its event was published, but not noted: because.")


def test_portions_are_bounded_by_letters_and_by_bytes() -> None:
    found = [[each.offset for each in part] for part in parts(map(letter, range(5)), 2)]
    assert found == [[0, 1], [2, 3], [4]]
    large = [letter(n, b"x" * (SEND_BYTES_MAX // 6 - 2000)) for n in range(7)]
    assert [len(part) for part in parts(large, 100)] == [6, 1]
    assert list(parts([], 2)) == []
