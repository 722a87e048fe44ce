"""What Schemathesis cannot know of our API. It loads this module by its name, in SCHEMATHESIS_HOOKS."""

import re
from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response
from schemathesis.generation.meta import TestPhase
from schemathesis.specs.openapi.checks import positive_data_acceptance

NO_SCHEMA_SAYS = {
    r"An order should have at most \d+ bytes": rb".{262144}",
    r"Input should have at most \d+ digits": rb"\de-\d\d",
    r"Input should be a 64-bit integer, .*": rb"\d(?:\.0|e)",  # for JSON Schema, 5.0 is an integer
    r"Input should not contain the character .u0000": rb".u0000",  # in a field that is ignored
}
"""Errors of bodies that fit the schema, and what such a body has."""


@schemathesis.check
def what_the_schemas_take_is_taken(ctx: CheckContext, response: Response, case: "Case[Any]") -> bool | None:
    """Or refused for a reason that stands in a description."""
    headers = dict(case.headers or ())
    if response.status_code == 422 and "Idempotency-Key" in headers:
        return None  # Schemathesis sends a key again with another body
    if response.status_code == 400 and "strict" in headers.get("Prefer", ""):
        return None
    if response.status_code == 400 and response.json()["path"] == "cursor":
        return None  # what stands in it may change, so no pattern is promised
    if response.status_code == 400:
        error, body = response.json()["error"], response.request.body
        sent = body if isinstance(body, bytes) else str(body or "").encode()
        if any(re.fullmatch(told, error) and re.search(has, sent, re.DOTALL) for told, has in NO_SCHEMA_SAYS.items()):
            return None
    return positive_data_acceptance(ctx, response, case)


@schemathesis.hook
def before_call(ctx: HookContext, case: "Case[Any]", kwargs: dict[str, Any]) -> None:
    """Only a 202 has a link, so requests of the stateful phase ask for one."""
    if case.meta is not None and case.meta.phase.name is TestPhase.STATEFUL and case.method == "POST":
        case.headers["Prefer"] = "respond-async"
