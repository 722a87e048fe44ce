"""What is wrong with the topics of an installation, from what a broker said of them. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from contracts import access, kafka_errors
from contracts.topic_spec import TopicFound, TopicSpec, violations


class Trouble(Enum):
    """Kinds of problems: they differ in who can end them, and whether it pays to wait."""

    ABSENT = auto()
    """`orders setup` has not run yet."""
    FORBIDDEN = auto()
    """A right is missing."""
    WRONG = auto()
    """The topic is not what it must be."""
    UNANSWERED = auto()
    """The broker gave no answer; nothing is known."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and what to do about it."""

    trouble: Trouble
    text: str


@dataclass(frozen=True)
class Refusal:
    """Why a broker did not describe a topic. `asked` is the right that the question needs."""

    name: str
    text: str
    asked: str


Told = Mapping[str, TopicFound | Refusal]
"""By topic."""


def problems(specs: Iterable[TopicSpec], told: Told, rights: access.Rights, user: str) -> list[Problem]:
    """Everything that is wrong with the topics of which `rights` speaks."""
    found: list[Problem] = []
    for spec in specs:
        if spec.name in rights:
            found += _of_topic(spec, told[spec.name], rights[spec.name], user)
    return found


def of_trouble(found: Iterable[Problem], *troubles: Trouble) -> str:
    """The texts of these kinds, one a line; empty if there is none."""
    return "\n".join(problem.text for problem in found if problem.trouble in troubles)


def _of_topic(spec: TopicSpec, told: TopicFound | Refusal, needed: frozenset[str], user: str) -> Iterator[Problem]:
    if isinstance(told, Refusal):
        yield from _of_refusal(spec.name, told, needed, user)
        return
    for text in access.missing_rights(user, spec.name, needed, told.rights):
        yield Problem(Trouble.FORBIDDEN, text)
    for text in violations(spec, told):
        yield Problem(Trouble.WRONG, text)


def _of_refusal(topic: str, refusal: Refusal, needed: frozenset[str], user: str) -> Iterator[Problem]:
    if refusal.name == "UNKNOWN_TOPIC_OR_PART":
        yield Problem(Trouble.ABSENT, f"The topic {topic} does not exist. Run: orders setup")
    elif refusal.name in kafka_errors.AUTHORIZATION:
        for right in access.lacking(refusal.asked, needed):
            yield Problem(Trouble.FORBIDDEN, access.lacks(user, right, "topic", topic))
    else:
        yield Problem(Trouble.UNANSWERED, f"Kafka does not describe the topic {topic}: {refusal.text}")
