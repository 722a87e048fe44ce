"""What is wrong with a topic, from what a broker said of it."""

import pytest

from contracts.access import rights_of_consumer
from contracts.topic_checks import Refusal, Told, Trouble, problems
from contracts.topic_spec import MIN_INSYNC, TopicFound, corrections, violations
from contracts.topics import Topics

TOPICS = Topics()
SPEC = TOPICS.spec(TOPICS.upserts)


def found(replicas: int, insync: str | None) -> TopicFound:
    """With everything else as it must be. None: a broker that does not tell."""
    return TopicFound("id", SPEC.partitions, replicas, {**SPEC.config, MIN_INSYNC: insync})


@pytest.mark.parametrize(
    ("replicas", "insync", "corrected", "said"),
    [
        (3, "1", "2", "needs 2 or more with 3 replicas, because a record that is in one place alone is lost"),
        (3, "2", None, ""),
        (3, "3", None, ""),
        (3, "4", "2", "has min.insync.replicas=4 and only 3 replicas, so Kafka takes no record for it"),
        (5, "1", "2", "needs 2 or more with 5 replicas"),
        (2, "1", None, ""),
        (2, "2", None, ""),
        (1, "1", None, ""),
        (1, "2", "1", "only 1 replicas"),
        (3, None, None, ""),
    ],
)
def test_a_record_counts_when_it_is_in_two_of_three_places(
    replicas: int, insync: str | None, corrected: str | None, said: str
) -> None:
    told = list(violations(SPEC, found(replicas, insync)))
    assert len(told) == bool(said)
    assert said in "".join(told)
    assert corrections(SPEC, found(replicas, insync)) == ({} if corrected is None else {MIN_INSYNC: corrected})


def test_what_a_broker_refuses_is_told_by_who_can_end_it() -> None:
    told: Told = {spec.name: found(3, "2") for spec in TOPICS.specs()}
    rights = {TOPICS.upserts: rights_of_consumer(TOPICS)[TOPICS.upserts]}
    assert problems(TOPICS.specs(), told, rights, "u") == []
    for name, trouble in (
        ("UNKNOWN_TOPIC_OR_PART", Trouble.ABSENT),
        ("TOPIC_AUTHORIZATION_FAILED", Trouble.FORBIDDEN),
        ("REQUEST_TIMED_OUT", Trouble.UNANSWERED),
    ):
        refused: Told = {**told, TOPICS.upserts: Refusal(name, "text", "DESCRIBE")}
        assert {problem.trouble for problem in problems(TOPICS.specs(), refused, rights, "u")} == {trouble}
