"""The request header Accept, as far as errors go by it: whether they come as `application/problem+json`. Pure."""

import re
from collections.abc import Iterable

RANGES_MAX = 100
"""Media ranges that are read. Nobody needs more, and a head may have thousands."""
PROBLEM_JSON = "application/problem+json"
_JSON = "application/json"
_Q = re.compile(r"\s*q\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*", re.ASCII | re.IGNORECASE)


def wants_problem_json(headers: Iterable[str]) -> bool:
    """`headers`: the values of all headers of that name.

    The type has to be named: `*/*`, which most clients send, asks for nothing new. It must not be liked less than
    `application/json`. A range with a malformed `q` is ignored.
    """
    liked: dict[str, float] = {}
    for text in ",".join(headers).split(",", RANGES_MAX)[:RANGES_MAX]:
        media, _, parameters = text.partition(";")
        media = media.strip().lower()
        if media in (PROBLEM_JSON, _JSON):
            q = _q(parameters)
            if q is not None:
                liked.setdefault(media, q)
    wanted = liked.get(PROBLEM_JSON, 0.0)
    return wanted > 0 and wanted >= liked.get(_JSON, 0.0)


def _q(parameters: str) -> float | None:
    for parameter in parameters.split(";"):
        if parameter.partition("=")[0].strip().lower() == "q":
            match = _Q.fullmatch(parameter)
            return float(match[1]) if match else None
    return 1.0
