"""The document equals the code, is an OpenAPI document, and says what is refused."""

import json
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator, ValidationError
from openapi_spec_validator import OpenAPIV31SpecValidator

from contracts.limits import ORDER_BYTES_MAX
from contracts.strict_json import Violation
from deploy.openapi.__main__ import document, files
from ingress.errors import IngressError
from ingress.idempotency import parse_key
from ingress.openapi.schemas import READINESS
from support.documented import require_documented
from support.kept import PUBLISHED
from support.odd_orders import odd_orders
from support.openapi import operations, resolved
from support.orders import an_order
from support.parsing import parsed

WHOLE = document()
OPERATIONS = operations(WHOLE)
POST = OPERATIONS["POST /api/integration/orders"]
BATCH = Draft202012Validator(POST["requestBody"]["content"]["application/json"]["schema"])


def test_the_committed_files_are_what_the_code_gives() -> None:
    for path, text in files().items():
        assert (PUBLISHED / path).read_text() == text, f"{path}: run make openapi"


def test_the_document_is_an_openapi_document() -> None:
    assert WHOLE["openapi"] == "3.1.0"
    assert [error.message for error in OpenAPIV31SpecValidator(WHOLE).iter_errors()] == []


def test_no_definition_is_left_inside_of_a_body() -> None:
    assert "$defs" not in json.dumps(WHOLE)
    resolved(WHOLE, WHOLE)  # every reference leads somewhere


def test_every_answer_has_examples_that_are_what_it_describes() -> None:
    for name, operation in OPERATIONS.items():
        for status, answer in operation["responses"].items():
            for content in answer["content"].values():
                assert content["examples"], (name, status)
                for example in content["examples"].values():
                    Draft202012Validator(content["schema"]).validate(example["value"])
            for header in answer.get("headers", {}).values():
                Draft202012Validator(header["schema"]).validate(header["example"])
    for example in POST["requestBody"]["content"]["application/json"]["examples"].values():
        BATCH.validate(example["value"])
        assert parsed(json.dumps(example["value"]).encode())


def kinds_of(error: type[IngressError]) -> set[type[IngressError]]:
    return {error}.union(*map(kinds_of, error.__subclasses__()))


def test_every_error_of_the_tree_is_in_the_document() -> None:
    said = {int(status) for operation in OPERATIONS.values() for status in operation["responses"]}
    assert said == {error.status for error in kinds_of(IngressError)} | {200, 202, 400}
    assert {int(status) for status in POST["responses"]} == said - {404, 501}


def test_what_a_partner_has_to_do_is_in_headers_that_are_always_there() -> None:
    always = {
        (name.lower(), status)
        for status, answer in POST["responses"].items()
        for name, header in answer.get("headers", {}).items()
        if header["required"]
    }
    assert always == {
        ("location", "202"), ("preference-applied", "202"), ("www-authenticate", "401"), ("connection", "408"),
        ("accept-encoding", "415"), ("retry-after", "429"), ("retry-after", "503"), ("location", "504"),
    }  # fmt: skip


def test_an_operator_needs_no_token_and_everybody_else_does() -> None:
    free = {name for name, operation in OPERATIONS.items() if operation.get("security") == []}
    assert free == {"GET /healthz", "GET /readyz"}
    assert WHOLE["security"] == [{"token": []}]
    assert WHOLE["components"]["securitySchemes"]["token"]["name"] == "token"
    assert len(READINESS) == len(set(READINESS))


OK = b'{"status": "ok"}'


@pytest.mark.parametrize(
    ("asked", "status", "headers", "body", "why"),
    [
        ("GET /healthz", 200, {}, OK, None),
        ("GET /healthz", 201, {}, OK, "answered with 201"),
        ("GET /healthz?x=1", 200, {}, b'{"status": "OK"}', "'ok' was expected"),
        ("GET /x", 200, {}, OK, "/x"),
        ("PUT /healthz", 405, {}, b"{}", None),
        ("GET /api/integration/orders/requests/x", 503, {}, b'{"error": ""}', "503 has no"),
        ("GET /api/integration/orders/requests/x", 503, {"retry-after": "1"}, b'{"error": ""}', None),
        ("GET /api/integration/orders/requests/x", 404, {}, b"{}", "'error' is a required property"),
    ],
)
def test_an_answer_that_the_document_does_not_tell_of_fails_the_test_that_gets_it(
    asked: str, status: int, headers: dict[str, str], body: bytes, why: str | None
) -> None:
    method, target = asked.split(" ")
    with nullcontext() if why is None else pytest.raises((AssertionError, ValidationError), match=why):
        require_documented(method, target, status, headers, body)


INTEGERS = [
    0, -1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 1.5, "0", "-1", "-0", "007", "+1", "", " 1", "1.0", "0x1", "٣",
    "9" * 18, "-" + "0" * 20 + "9" * 18, "0" * 41,
]  # fmt: skip
AMOUNTS = [
    0, -1, 1.5, 10**30 - 1, 10**30, 1e29, 1e30, "0", "-0.00", "1.50", "001", "-1", "1e3", "1.", ".5", "", "٣",
    "9" * 30, "-0." + "3" * 29, "1." + "3" * 30, "0" * 30, "0" * 61,
]  # fmt: skip


def is_taken(body: bytes) -> bool:
    try:
        parsed(body)
    except Violation:
        return False
    return True


@given(odd_orders(INTEGERS, AMOUNTS))
def test_a_body_is_taken_exactly_if_it_is_what_the_schema_says(order: dict[str, Any]) -> None:
    body = {"data": [an_order(), order]}
    assert is_taken(json.dumps(body).encode()) == BATCH.is_valid(body)


@pytest.mark.parametrize("body", [None, [], {}, {"data": None}, {"data": {}}, {"data": [1]}, {"data": [], "x": 1}])
def test_the_same_holds_around_the_orders(body: object) -> None:
    assert is_taken(json.dumps(body).encode()) == BATCH.is_valid(body)
    assert BATCH.is_valid({"data": [an_order()] * 1000})
    assert not BATCH.is_valid({"data": [an_order()] * 1001})


@pytest.mark.parametrize(
    "order",
    [
        an_order(name="x" * ORDER_BYTES_MAX),
        an_order(discount=5.0),
        an_order(unknown="\0"),
        an_order(products=[{"product_sku_id": "S", "amount": 1e-40, "qty": 1}]),
    ],
)
def test_what_the_schema_cannot_say_is_in_a_description(order: dict[str, Any]) -> None:
    assert not is_taken(json.dumps({"data": [order]}).encode())
    BATCH.validate({"data": [order]})
    said = json.dumps(WHOLE["components"]["schemas"])
    for words in ("at most 262144 bytes", "without fraction", "64 bits at most", "no NUL", "at most 30 digits"):
        assert words in said


def test_the_schema_is_stricter_than_the_reader_in_one_thing() -> None:
    """A pattern that counts to 2^63 would be longer than the rest of the order."""
    body = {"data": [an_order(discount=str(2**63 - 1))]}
    assert is_taken(json.dumps(body).encode())
    assert not BATCH.is_valid(body)


@pytest.mark.parametrize("key", ["k", '"k"', '"', '""', "", "a b", "x" * 255, "x" * 256, "é", "a\x7f"])
def test_a_key_is_taken_exactly_if_it_is_what_the_schema_says(key: str) -> None:
    schema = Draft202012Validator(WHOLE["components"]["parameters"]["IdempotencyKey"]["schema"])
    try:
        parse_key([key])
    except Violation:
        assert not schema.is_valid(key)
    else:
        schema.validate(key)
