"""Records of every form that was ever written are read as on the first day (P7: a replay makes the same rows).

Never change a file that fails: the topic is kept forever, and has such records.
"""

import json
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from deploy.asyncapi.document import readable
from deploy.asyncapi.schemas import schemas
from support.golden import READERS, load
from support.kept import ROOT

FOLDER = ROOT / "tests" / "golden"
FILES = sorted(file for name in READERS for file in (FOLDER / name).glob("*.json"))
VALIDATORS = {name: Draft7Validator(schema) for name, schema in schemas().items()}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(FOLDER)))
def test_a_record_of_before_is_read_as_it_was(file: Path) -> None:
    golden = load(file)
    assert READERS[file.parent.name](golden.record) == golden.reads_as


def test_the_corpus_has_every_form() -> None:
    found = [load(file) for file in FILES if file.parent.name == "upserts"]
    assert {(golden.reads_as.get("stage"), golden.reads_as.get("error")) for golden in found} == {
        (None, None),
        ("HEADER_CONVERTER", "RecordError"),
        ("VALUE_CONVERTER", "RecordError"),
        ("VALUE_CONVERTER", "Violation"),
        ("TRANSFORMATION", "InvalidOrder"),
    }
    headers = {name for golden in found for name, _ in golden.record.headers}
    assert schemas()["event-headers"]["properties"].keys() <= headers


LOOSER = {"the time is another form of ISO 8601", "the partition of a reply without its topic"}
"""Events that are applied although the schema does not describe them. Nobody should write such events."""


@pytest.mark.parametrize("file", [file for file in FILES if file.parent.name == "upserts"], ids=lambda file: file.stem)
def test_the_published_schemas_describe_what_is_applied(file: Path) -> None:
    golden, about = load(file), json.loads(file.read_text())["about"]
    if "canonical" not in golden.reads_as:
        return
    VALIDATORS["order"].validate(json.loads(golden.record.value or b""))
    VALIDATORS["canonical-order"].validate(json.loads(golden.reads_as["canonical"]))
    assert VALIDATORS["event-headers"].is_valid(readable(golden.record.headers)) == (about not in LOOSER)
