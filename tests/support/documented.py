"""Whether an answer is one that the published OpenAPI document tells of. Every answer that a test gets is checked."""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from support.kept import PUBLISHED
from support.openapi import Document, operations

NOT_AN_ENDPOINT = 400, 404, 405
"""What is answered if a request is for none; 400 if it is not HTTP either."""

NOT_OF_THE_API = "/openapi.json", "/asyncapi.json", "/docs", "/metrics"
"""The documents, the pages that show them, and what Prometheus reads on a port of its own."""


@cache
def _documented() -> dict[str, tuple[re.Pattern[str], dict[str, Document]]]:
    """The path as a pattern, and the operations by method."""
    found: dict[str, tuple[re.Pattern[str], dict[str, Document]]] = {}
    for name, operation in operations(json.loads((PUBLISHED / "openapi.json").read_text())).items():
        method, path = name.split(" ")
        pattern = re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))
        found.setdefault(path, (pattern, {}))[1][method] = operation
    return found


@cache
def _validator(path: str, method: str, status: int, media_type: str) -> Draft202012Validator:
    answer = _documented()[path][1][method]["responses"][str(status)]
    return Draft202012Validator(answer["content"][media_type]["schema"])


def require_documented(method: str, target: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """`headers`: names in lower case. Fails if the document does not say that this may be answered."""
    asked = target.partition("?")[0]
    path = next((path for path, (pattern, _) in _documented().items() if pattern.fullmatch(asked)), None)
    operation = _documented()[path][1].get(method) if path is not None else None
    if path is None or operation is None:
        assert status in NOT_AN_ENDPOINT or method == "HEAD" or asked.startswith(NOT_OF_THE_API), (
            method,
            target,
            status,
        )
        return
    answer: Any = operation["responses"].get(str(status))
    assert answer is not None, f"{method} {target} was answered with {status}, which the document does not have"
    missing = [
        name for name, said in answer.get("headers", {}).items() if said["required"] and name.lower() not in headers
    ]
    assert not missing, f"{method} {target}: {status} has no {missing}"
    media_type = headers.get("content-type", "application/json")
    _validator(path, method, status, media_type).validate(json.loads(body))
