"""What each error of Kafka means for a record that was not taken: no code of the client library was forgotten."""

from collections import Counter

from confluent_kafka import KafkaError

from contracts.kafka_errors import NEVER_OF_A_RECORD_SENT, OF_THE_RECORD, OUTAGES, STOPPING, Verdict, verdict_of


def codes() -> set[str]:
    """The names of all codes that the client library knows."""
    named = {name: getattr(KafkaError, name) for name in dir(KafkaError) if name.strip("_").isupper()}
    found = {name for name, code in named.items() if isinstance(code, int)}
    assert len(found) > 150
    return found


def test_every_code_is_in_exactly_one_table() -> None:
    counts = Counter(name for table in (OUTAGES, OF_THE_RECORD, STOPPING, NEVER_OF_A_RECORD_SENT) for name in table)
    assert counts.keys() == codes()
    assert set(counts.values()) == {1}


def test_the_names_are_those_that_an_error_gives() -> None:
    """`KafkaError.name()` is what the tables are asked by."""
    for name in OUTAGES | OF_THE_RECORD | STOPPING:
        assert KafkaError(getattr(KafkaError, name)).name() == name


def test_verdicts() -> None:
    assert verdict_of("_MSG_TIMED_OUT") is Verdict.OUTAGE
    assert verdict_of("_UNKNOWN_PARTITION") is Verdict.RECORD
    assert verdict_of("TOPIC_AUTHORIZATION_FAILED") is Verdict.STOP
    assert verdict_of("A_CODE_OF_NEXT_YEAR") is Verdict.STOP
