"""The catalogue of errors: every text that a partner can see instead of counts. docs/errors.md is made of it. Pure.

`python -m ingress.catalogue docs/errors.md` writes the page; a test holds it equal.
"""

import sys
from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from itertools import groupby
from pathlib import Path
from textwrap import fill

from contracts.problem import Problem, find_problem
from contracts.violations import REASONS, VIOLATIONS
from ingress.bad_requests import BAD_REQUESTS
from ingress.problems import PROBLEMS, REFUSED_LATER

OTHER = Problem(
    "bad-request",
    HTTPStatus.BAD_REQUEST,
    "{text}",
    "Something else is wrong with the request. No text is known to come here.",
    "Compare the request with [http-api.md](http-api.md), and tell the operator the text.",
)
BAD = [*BAD_REQUESTS, *VIOLATIONS, OTHER]
"""Those of 400, in the order in which `bad_request` looks for a text."""
CATALOGUE = sorted([*BAD, *PROBLEMS], key=lambda problem: problem.status)
PAGE = "/docs/errors"
_filled = partial(fill, break_long_words=False, break_on_hyphens=False)

_HEAD = """# Errors

For partners: every text that you can get instead of counts, what it means, and what to do. This page is made from the
code by `make errors`; do not edit it. [http-api.md](http-api.md#status-table) has the statuses on one screen, and says
when a request may be sent again.

An error is JSON: `{"error": <text>}`, and for 400 `{"path": <place>, "error": <text>}`. Braces in a text below stand
for what differs. Go by the status, and by `type`; a text may become better.

With `Accept: application/problem+json` the same error comes as RFC 9457 has it. `type` leads to the entry on
this page, which every ingress also shows at `/docs/errors`:

```json
{"type": "/docs/errors#field-required", "title": "Field required", "status": 400,
 "detail": "data[0].email: Field required", "violations": [{"path": "data[0].email", "error": "Field required"}]}
```

`detail` is the text, with its path. Only a 400 has `violations`: the first one, or with `Prefer: handling=strict` all
of them. Statuses and headers are the same. An `Accept` that names `application/json` with a higher `q` gets JSON as
above.
"""
_REASONS = """## Reasons of invalid data

No error: such an order is skipped and counted. With `Prefer: return=representation` the answer gives its `reason`.

| reason | what it means |
|---|---|
"""


def bad_request(text: str) -> Problem:
    """The entry of what is said with status 400."""
    return find_problem(BAD, text) or OTHER


def page() -> str:
    """docs/errors.md."""
    parts = [_HEAD]
    for status, problems in groupby(CATALOGUE, key=lambda problem: problem.status):
        parts.append(f"## {status} {HTTPStatus(status).phrase}\n")
        parts += map(_entry, problems)
    return "\n".join([*parts, _REASONS + "".join(_reasons())])


def _entry(problem: Problem) -> str:
    text = _filled(problem.text, 118, initial_indent="> ", subsequent_indent="> ")
    about = _filled(f"{problem.meaning} **What to do:** {problem.advice}", 120)
    return f"### {problem.name}\n\n{text}\n\n{about}\n"


def _reasons() -> Iterator[str]:
    for reason, meaning in REASONS.items():
        yield f"| `{reason}` | {meaning} |\n"
    yield f"| `{REFUSED_LATER}` | The tables of the shop refused it, by a rule of their own. Ask the operator. |\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
