"""The published document equals the models, is an AsyncAPI document, and describes what the code does."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from consumer.core.decode import decode
from consumer.core.record import Event, Record, Rejected, Stage
from consumer.letters.letter import Settled, dead_letter, read_letter, settled_note
from contracts.event import Headers, RecordError, ReplyTo, read_headers
from contracts.order import Order
from contracts.topics import Topics
from deploy.asyncapi.__main__ import files, write
from deploy.asyncapi.document import document, readable
from deploy.asyncapi.schemas import VERSION, schemas
from deploy.errors import PublishedSchemaError
from support.installation import headers_of
from support.kept import FOLDERS, ROOT, listed, present
from support.odd_orders import odd_orders
from support.orders import an_order

VALIDATORS = {name: Draft7Validator(schema) for name, schema in schemas().items()}


def test_the_committed_files_are_what_the_models_give() -> None:
    for path, text in files().items():
        file = ROOT / "contracts" / "published" / path
        assert file.exists(), "run make asyncapi"
        assert file.read_text() == text, f"{path}: run make asyncapi"


@pytest.mark.parametrize("of_ours", FOLDERS, ids=lambda folder: folder.name)
def test_what_must_be_kept_is_kept(of_ours: Path) -> None:
    kept, found = listed(of_ours), present(of_ours)
    assert kept
    for path, digest in kept.items():
        assert found.get(path) == digest, f"{path} must stay as it was forever"
    assert found.keys() == kept.keys(), "there are new files: run make asyncapi"


def test_a_published_schema_is_not_overwritten(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path)
    file = tmp_path / "schemas" / VERSION / "order.json"
    file.write_text("{}")
    with pytest.raises(PublishedSchemaError, match=r"order\.json.*\nRaise VERSION"):
        write(tmp_path)
    assert file.read_text() == "{}"


def test_the_document_is_an_asyncapi_document() -> None:
    official = json.loads((ROOT / "tests/vendor/asyncapi/3.0.0.json").read_text())
    assert [f"{list(error.path)}: {error.message}" for error in Draft7Validator(official).iter_errors(document())] == []


def test_every_reference_of_the_document_leads_somewhere() -> None:
    whole = document()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                found: Any = whole
                for step in node["$ref"].removeprefix("#/").split("/"):
                    found = found[step]
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(whole)


def test_the_examples_of_the_document_are_what_it_describes() -> None:
    messages = document()["components"]["messages"]
    for name, schema, headers in (
        ("orderUpsert", "canonical-order", "ingress-event-headers"),
        ("outcome", "result", "result-headers"),
    ):
        for example in messages[name]["examples"]:
            VALIDATORS[schema].validate(example["payload"])
            VALIDATORS[headers].validate(example["headers"])
    VALIDATORS["order"].validate(messages["orderUpsert"]["examples"][0]["payload"])


def test_letters_and_notes_have_the_headers_that_are_published() -> None:
    record = Record(3, 7, 0, b"k", b"v", [("foreign", b"\xff")])
    sent = dead_letter(Rejected(record, None, 0, Stage.HEADER_CONVERTER, "RecordError", "why"), Topics())
    headers = readable([(name, value) for name, value in sent.headers if name != "foreign"])
    VALIDATORS["dead-letter-headers"].validate(headers)
    assert headers.keys() == schemas()["dead-letter-headers"]["properties"].keys()
    letter = read_letter(Record(3, 9, 0, b"k", b"v", sent.headers))
    assert letter is not None
    for settled in Settled:
        headers = readable(settled_note(letter, settled, Topics()).headers)
        VALIDATORS["settled-letter-headers"].validate(headers)
        assert headers.keys() == schemas()["settled-letter-headers"]["properties"].keys()


# What the schemas say and what the code does, over everything that a writer may get right or wrong.

INTEGERS = [
    0, 1, -1, 2**63 - 1, 2**63, -(2**63), "0", "1", "-1", "-0", "007", "+1", "", " 1", "1.0", "0x1", "٣",
    str(2**63 - 1), "0" * 41,
]  # fmt: skip
AMOUNTS = [
    0, 1, -1, 1.5, -0.5, 10**30 - 1, 10**30, 1e29, 1e30, "0", "-0", "-0.00", "1.50", "001", "-1", "1e3", "1.", ".5", "",
    "٣", "9" * 30, "0." + "3" * 30, "0" * 61,
]  # fmt: skip


@given(odd_orders(INTEGERS, AMOUNTS))
def test_an_order_is_applied_exactly_if_it_is_what_the_schema_says(order: dict[str, Any]) -> None:
    key = str(order.get("order_id", "")).encode()
    decoded = decode(Record(0, 0, 0, key, json.dumps(order).encode(), headers_of("p")))
    assert isinstance(decoded, Event) == VALIDATORS["order"].is_valid(order), decoded
    if isinstance(decoded, Event):
        VALIDATORS["canonical-order"].validate(json.loads(decoded.order.canonical()))


@pytest.mark.parametrize("amount", ["9" * 31, "1." + "3" * 30, 1e-40])
def test_what_the_schema_cannot_say_is_in_a_description(amount: object) -> None:
    order = an_order(products=[{"product_sku_id": "S", "amount": amount, "qty": 1}])
    assert isinstance(decode(Record(0, 0, 0, b"O-1", json.dumps(order).encode(), headers_of("p"))), Rejected)
    VALIDATORS["order"].validate(order)
    assert "at most 30 digits" in json.dumps(schemas()["order"])


HEADERS: dict[str, st.SearchStrategy[bytes | None]] = {
    "ce_specversion": st.sampled_from([b"0.3", b"1.00", b"1\n0"]),
    "ce_type": st.sampled_from([b"integration.orders.upsert.v2", b"integration-orders.upsert.v1"]),
    "ce_id": st.from_regex(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/[0-9]{1,4}", fullmatch=True).map(str.encode),
    "ce_source": st.from_regex(r"(/partners/)?[a-z0-9A-]{0,66}", fullmatch=True).map(str.encode),
    "ce_requestsize": st.from_regex(r"-?[0-9]{1,5}", fullmatch=True).map(str.encode),
    "ce_requestinvalid": st.sampled_from(["0", "1000", "1001", "0999", "00999", "٣", ""]).map(str.encode),
    "ce_requestdigest": st.from_regex(r"[0-9a-fA]{31,33}", fullmatch=True).map(str.encode),
    "kafka_correlationId": st.sampled_from([b"x", b""]),
    "kafka_replyTopic": st.from_regex(r"[a-zA-Z0-9._ -]{0,251}", fullmatch=True).map(str.encode),
    "kafka_replyPartition": st.binary(min_size=3, max_size=5),
    "content-type": st.sampled_from([b"text/plain"]),
    "traceparent": st.sampled_from([b"x"]),
    "ce_originpartition": st.sampled_from([b"0", b"11", b"01", b"-1", b"x"]),
    "ce_originoffset": st.sampled_from([b"0", b"123456789012345678", b"1234567890123456789", b"-1"]),
    "ce_origintime": st.sampled_from([b"2026-11-24T00:00:00Z", b"now", b"2026-11-24T00:00:00"]),
    "foreign": st.sampled_from([b"x"]),
}


def reads(headers: Headers) -> bool:
    try:
        read_headers(headers)
    except RecordError:
        return False
    return True


@given(st.lists(st.sampled_from(sorted(HEADERS)), max_size=4, unique=True), st.data())
def test_headers_are_read_exactly_if_they_are_what_the_schema_says(names: list[str], data: st.DataObject) -> None:
    drawn = {name: data.draw(st.none() | HEADERS[name], label=name) for name in names}
    headers = list({**dict(headers_of("p", reply_to=ReplyTo("t", 1), digest="0" * 32)), **drawn}.items())
    if dict(headers)["kafka_replyTopic"] is not None:  # without it the partition is not read
        assert reads(headers) == VALIDATORS["event-headers"].is_valid(readable(headers))


@given(st.from_regex(schemas()["event-headers"]["properties"]["ce_time"]["pattern"], fullmatch=True))
def test_a_time_of_the_published_pattern_is_read_if_there_is_such_a_day(text: str) -> None:
    year, day = int(text[:4]), int(text[8:10])
    if 1 < year < 9999 and day <= 28:
        assert reads([*headers_of("p"), ("ce_time", text.encode())])


def test_what_the_ingress_writes_is_narrower_than_what_is_read() -> None:
    headers = readable(headers_of("p", 3, reply_to=ReplyTo("t", 1), digest="0" * 32))
    for name in ("event-headers", "ingress-event-headers"):
        VALIDATORS[name].validate(headers)
    canonical = json.loads(Order.model_validate(an_order(phone=None)).canonical())
    for name in ("order", "canonical-order"):
        VALIDATORS[name].validate(canonical)
