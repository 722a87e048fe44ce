"""What Schemathesis cannot know of our API. It loads this module by its name, in SCHEMATHESIS_HOOKS."""

import re
from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response
from schemathesis.generation.meta import TestPhase
from schemathesis.specs.openapi.checks import positive_data_acceptance

NO_SCHEMA_SAYS = re.compile(
    r"An order should have at most \d+ bytes"
    r"|Input should have at most \d+ digits"  # of a number, as 1e-100
    r"|Input should be a 64-bit integer, as a number or as a string of digits"  # JSON Schema takes 5.0 for one
    r"|Input should not contain the character .u0000"  # in a field that is ignored
)


@schemathesis.check
def what_the_schemas_take_is_taken(ctx: CheckContext, response: Response, case: "Case[Any]") -> bool | None:
    """Or refused for a reason that stands in a description."""
    headers = dict(case.headers or ())
    if response.status_code == 422 and "Idempotency-Key" in headers:
        return None  # Schemathesis sends a key again with another body
    if response.status_code == 400 and NO_SCHEMA_SAYS.fullmatch(response.json()["error"]):
        return None
    if response.status_code == 400 and "strict" in headers.get("Prefer", ""):
        return None
    return positive_data_acceptance(ctx, response, case)


@schemathesis.hook
def before_call(ctx: HookContext, case: "Case[Any]", kwargs: dict[str, Any]) -> None:
    """Only a 202 has a link, so requests of the stateful phase ask for one."""
    if case.meta is not None and case.meta.phase.name is TestPhase.STATEFUL and case.method == "POST":
        case.headers["Prefer"] = "respond-async"
