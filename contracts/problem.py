"""One entry of the catalogue of errors: a text that a partner can see, with its status, what it means and what to do.

`contracts/violations.py` and `ingress/problems.py` have all entries. Code takes its texts from there, docs/errors.md is
made of them, and `application/problem+json` names them.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

_FIELD = re.compile(r"\\{\w+\\}")


@dataclass(frozen=True)
class Problem:
    """`name` is an anchor of docs/errors.md. `text` has a field in braces for each part that differs."""

    name: str
    status: int
    text: str
    meaning: str
    advice: str

    @property
    def title(self) -> str:
        """A few words, the same for each occurrence."""
        return self.name.replace("-", " ").capitalize()

    def said(self, **fields: object) -> str:
        """The text for one occurrence. Raises KeyError if a field is missing."""
        return self.text.format(**fields)

    def is_said_by(self, text: str) -> bool:
        """Whether `text` may be one of `said`."""
        return self._pattern.fullmatch(text) is not None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(_FIELD.sub(".*", re.escape(self.text)), re.DOTALL)


def find_problem(problems: Iterable[Problem], text: str) -> Problem | None:
    """The first one that says `text`."""
    return next((problem for problem in problems if problem.is_said_by(text)), None)
