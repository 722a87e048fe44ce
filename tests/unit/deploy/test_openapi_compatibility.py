"""The HTTP API may change only if every client of every published version still works."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from deploy.errors import PublishedSchemaError
from deploy.openapi.__main__ import TOLD_TO_PEOPLE, document, relied_on, write
from ingress.openapi.document import VERSION
from support.kept import PUBLISHED
from support.openapi import Document, broken_promises

TODAY = document()
POST, STATUS = "/api/integration/orders", "/api/integration/orders/requests/{request_id}"


@pytest.mark.parametrize("file", sorted((PUBLISHED / "http").glob("*.json")), ids=lambda file: file.stem)
def test_every_published_version_is_kept_to(file: Path) -> None:
    assert broken_promises(json.loads(file.read_text()), TODAY) == []


def test_the_version_of_today_is_published() -> None:
    assert json.loads((PUBLISHED / "http" / f"{VERSION}.json").read_text()) == relied_on(TODAY), "run make openapi"


def post(document: Document) -> Any:
    return document["paths"][POST]["post"]


def order(document: Document) -> Any:
    return document["components"]["schemas"]["Order"]


def _require_a_header(document: Document) -> None:
    post(document)["parameters"].append({"name": "x", "in": "header", "required": True, "schema": {"type": "string"}})


BROKEN: dict[str, tuple[Callable[[Document], Any], str]] = {
    "a path that is gone": (lambda new: new["paths"].pop("/readyz"), "GET /readyz: is gone"),
    "another operationId": (lambda new: post(new).update(operationId="x"), "has another operationId"),
    "a path that needs a token": (lambda new: new["paths"]["/healthz"]["get"].pop("security"), "needs another token"),
    "another token": (lambda new: new.update(security=[]), "another token"),
    "a header that must be sent": (_require_a_header, "x is required"),
    "a header that becomes required": (
        lambda new: new["components"]["parameters"]["Prefer"].update(required=True),
        "Prefer is required",
    ),
    "a header that is not read": (lambda new: post(new)["parameters"].pop(), "traceparent is not read any more"),
    "a header with fewer values": (
        lambda new: new["components"]["parameters"]["Traceparent"].update(schema={"const": ""}),
        "traceparent $: only certain values",
    ),
    "a field that is required": (lambda new: order(new)["required"].append("phone"), "$.data[].phone: is required"),
    "fewer orders": (
        lambda new: new["components"]["schemas"]["Batch"]["properties"]["data"].update(maxItems=999),
        "$.data: maxItems is 999",
    ),
    "a smaller limit": (lambda new: new["x-limits"].update(body_bytes_max=1), "body_bytes_max: is 1"),
    "another success": (
        lambda new: post(new)["responses"].update({"201": post(new)["responses"]["200"]}),
        "201 is new",
    ),
    "no success": (lambda new: post(new)["responses"].pop("202"), "202 is gone"),
    "a key in the documented answer": (
        lambda new: new["components"]["schemas"]["Counts"]["properties"].update(time={"type": "string"}),
        "200 $.time: is not allowed any more",
    ),
    "a key that is not always there": (
        lambda new: new["components"]["schemas"]["Error"].update(required=[]),
        "503 $.error: is required",
    ),
    "another outcome": (
        lambda new: new["components"]["schemas"]["OrderOutcome"]["properties"]["outcome"]["enum"].append("lost"),
        "200 $.orders[].outcome: not 'lost' any more",
    ),
    "a header that may be missing": (
        lambda new: post(new)["responses"]["503"]["headers"]["Retry-After"].update(required=False),
        "503 Retry-After may be missing",
    ),
    "a header that is gone": (lambda new: post(new)["responses"]["504"].pop("headers"), "504 Location may be missing"),
    "a header in another form": (
        lambda new: post(new)["responses"]["429"]["headers"]["Retry-After"].update(schema={"type": "string"}),
        "429 Retry-After $: string has become integer",
    ),
}
FINE: dict[str, Callable[[Document], Any]] = {
    "another path": lambda new: new["paths"].update({"/new": {"get": deepcopy(new["paths"]["/healthz"]["get"])}}),
    "another refusal": lambda new: post(new)["responses"].update({"423": post(new)["responses"]["422"]}),
    "a refusal that is gone": lambda new: post(new)["responses"].pop("415"),
    "more orders": lambda new: new["components"]["schemas"]["Batch"]["properties"]["data"].update(maxItems=1001),
    "a larger limit": lambda new: new["x-limits"].update(body_bytes_max=2**30),
    "a header that may be sent": lambda new: new["components"]["parameters"]["RequestId"].update(description="x"),
    "a key in the status": lambda new: new["components"]["schemas"]["RequestStatus"]["properties"].update(at={}),
    "another header": lambda new: post(new)["responses"]["200"]["headers"].update(
        x={"required": True, "schema": {"type": "string"}}
    ),
    "other words": lambda new: post(new).update(summary="x", description="y"),
}


@pytest.mark.parametrize("change", BROKEN)
def test_what_breaks_a_client_is_found(change: str) -> None:
    edit, why = BROKEN[change]
    new = deepcopy(TODAY)
    edit(new)
    assert any(why in found for found in broken_promises(relied_on(TODAY), new)), broken_promises(TODAY, new)


@pytest.mark.parametrize("change", FINE)
def test_what_breaks_no_client_is_allowed(change: str) -> None:
    new = deepcopy(TODAY)
    FINE[change](new)
    assert broken_promises(relied_on(TODAY), new) == []


def test_what_only_people_read_is_not_frozen() -> None:
    def names(node: Any) -> set[str]:
        """Not those of fields, which are ours."""
        if isinstance(node, list):
            return set().union(*map(names, node))
        if not isinstance(node, dict):
            return set()
        fields = node.get("properties", {})
        rest = {name: value for name, value in node.items() if name != "properties"}
        return set(rest).union(*map(names, rest.values()), *map(names, fields.values()))

    assert not names(relied_on(TODAY)) & TOLD_TO_PEOPLE
    field = {"properties": {"description": {"type": "string", "description": "x"}}}
    assert relied_on(field) == {"properties": {"description": {"type": "string"}}}


def test_a_published_version_is_not_overwritten(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path)
    file = tmp_path / "http" / f"{VERSION}.json"
    file.write_text("{}")
    with pytest.raises(PublishedSchemaError, match=r"http/.*\nRaise VERSION in ingress/openapi/document.py"):
        write(tmp_path)
    assert file.read_text() == "{}"
