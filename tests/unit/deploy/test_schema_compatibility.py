"""A schema may change only if every older record stays readable and every older reader still works."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from deploy.asyncapi.schemas import VERSION, schemas
from support.compatibility import Schema, UnknownKeywordError, closed, narrowings
from support.kept import ROOT

PUBLISHED = ROOT / "contracts" / "published" / "schemas"
TODAY = schemas()
READ = {"order", "event-headers"}
"""The consumer reads these, from any writer. All others describe what this system writes."""


def broken_promises(name: str, published: Schema, now: Schema, *, same_major: bool = True) -> list[str]:
    """The rule of docs/internals/contract.md.

    What we read: everything that was ever allowed stays allowed, because it is in the topic. Fields without a meaning
    may be there too, with any value. So not even a field can be added: it needs a header that says that it counts.
    What we write: readers of the published schema understand all that is written now, and a reader of today's all that
    was written then. Then it had no other fields than the published ones, so fields may be added, but none that is
    always there. Only a new major version may write less than its readers were promised.
    """
    if name in READ:
        return narrowings(published, now)
    return (narrowings(now, published) if same_major else []) + narrowings(closed(published), now)


def major(version: str) -> str:
    return version.partition(".")[0]


@pytest.mark.parametrize("file", sorted(PUBLISHED.rglob("*.json")), ids=lambda file: str(file.relative_to(PUBLISHED)))
def test_every_published_schema_is_kept_to(file: Path) -> None:
    assert file.stem in TODAY, "a schema was withdrawn"
    same_major = major(file.parent.name) == major(VERSION)
    assert broken_promises(file.stem, json.loads(file.read_text()), TODAY[file.stem], same_major=same_major) == []


def test_the_schemas_of_today_are_published_too() -> None:
    assert {file.stem for file in (PUBLISHED / VERSION).glob("*.json")} == TODAY.keys(), "run make asyncapi"


def changed(name: str, *path: str | int, to: Any = None) -> Schema:
    """A schema of today with the value at `path` replaced by `to`, or removed without `to`."""
    schema = deepcopy(TODAY[name])
    node: Any = schema
    for step in path[:-1]:
        node = node[step]
    if to is None:
        del node[path[-1]]
    else:
        node[path[-1]] = to
    return schema


ORDER_REQUIRED, RESULT_REQUIRED = TODAY["order"]["required"], TODAY["result"]["required"]
CAUGHT: dict[str, tuple[str, Schema, str]] = {
    "a new field that is required": (
        "order",
        changed("order", "required", to=[*ORDER_REQUIRED, "currency"]),
        "$.currency: is required",
    ),
    "an optional field that becomes required": (
        "order",
        changed("order", "required", to=[*ORDER_REQUIRED, "phone"]),
        "$.phone: is required",
    ),
    "a new field, which stands in the topic with any value": (
        "order",
        changed("order", "properties", "currency", to={"type": "string"}),
        "$.currency: null has become string",
    ),
    "a type that is narrowed": (
        "order",
        changed("order", "properties", "discount", to={"type": "integer", "minimum": 0, "maximum": 2**63 - 1}),
        "$.discount: string has become integer",
    ),
    "null that is refused": ("order", changed("order", "properties", "phone", "anyOf", 1), "null has become string"),
    "a smaller limit": ("order", changed("order", "properties", "order_id", "maxLength", to=511), "maxLength is 511"),
    "a smaller number": (
        "order",
        changed("order", "properties", "discount", "anyOf", 0, "maximum", to=2**31),
        "$.discount: maximum is 2147483648",
    ),
    "fewer products": ("order", changed("order", "properties", "products", "maxItems", to=6095), "maxItems is 6095"),
    "a product's field": (
        "order",
        changed("order", "properties", "products", "items", "required", to=["product_sku_id", "amount", "qty", "unit"]),
        "$.products[].unit: is required",
    ),
    "unknown fields that are refused": ("order", {**TODAY["order"], "additionalProperties": False}, "$.*"),
    "another pattern": (
        "event-headers",
        changed("event-headers", "properties", "ce_type", "pattern", to="^integration[.]orders[.]upsert[.]v2$"),
        "$.ce_type: the pattern is",
    ),
    "a header that must be there": (
        "event-headers",
        changed("event-headers", "required", to=[*TODAY["event-headers"]["required"], "ce_time"]),
        "$.ce_time: is required",
    ),
    "a header that needs another": (
        "event-headers",
        changed("event-headers", "dependencies", "ce_time", to=["ce_requestsize"]),
        "$.ce_requestsize: is required beside ce_time",
    ),
    "a field that readers count on": (
        "canonical-order",
        changed("canonical-order", "properties", "email"),
        "$.email: null has become string",
    ),
    "a field that is not always there any more": (
        "result",
        changed("result", "required", to=["request_id"]),
        "$.outcomes: is required",
    ),
    "a header that is not always written any more": (
        "ingress-event-headers",
        changed("ingress-event-headers", "required", to=TODAY["ingress-event-headers"]["required"][1:]),
        "$.ce_specversion: is required",
    ),
    "a field that was not always there": (
        "result",
        changed("result", "required", to=[*RESULT_REQUIRED, "time"]),
        "$.time: is required",
    ),
    "a wider type for readers": (
        "canonical-order",
        changed("canonical-order", "properties", "discount", "type", to=["integer", "string"]),
        "$.discount: string has become integer",
    ),
    "one more value for readers": (
        "settled-letter-headers",
        changed(
            "settled-letter-headers", "properties", "orders_letter_settled", "enum", to=["redriven", "discarded", "x"]
        ),
        "not 'x' any more",
    ),
}


@pytest.mark.parametrize("name", CAUGHT)
def test_a_change_that_breaks_somebody_is_caught(name: str) -> None:
    schema, now, text = CAUGHT[name]
    found = broken_promises(schema, TODAY[schema], now)
    assert any(text in narrowing for narrowing in found), found


@pytest.mark.parametrize(
    ("name", "now"),
    [
        ("canonical-order", changed("canonical-order", "properties", "currency", to={"type": "string"})),
        ("order", changed("order", "properties", "order_id", "maxLength", to=600)),
        ("order", changed("order", "required", to=[name for name in ORDER_REQUIRED if name != "email"])),
        ("order", changed("order", "properties", "discount", to={})),
        ("event-headers", changed("event-headers", "properties", "ce_time", "pattern")),
    ],
)
def test_a_change_that_breaks_nobody_passes(name: str, now: Schema) -> None:
    assert broken_promises(name, TODAY[name], now) == []


def test_a_new_major_version_may_write_less_but_not_something_else() -> None:
    name, required = "ingress-event-headers", TODAY["ingress-event-headers"]["required"]
    less = changed(name, "required", to=required[1:])
    assert broken_promises(name, TODAY[name], less)
    assert broken_promises(name, TODAY[name], less, same_major=False) == []
    for other in (
        changed(name, "required", to=[*required, "ce_time"]),
        changed(name, "properties", "ce_type", "pattern", to="^x$"),
    ):
        assert broken_promises(name, TODAY[name], other, same_major=False)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"type": "integer", "minimum": 0}, {"type": "integer", "exclusiveMinimum": 0}),
        ({"type": "number", "maximum": 0}, {"type": "number", "exclusiveMaximum": 0}),
        ({"type": "number"}, {"type": "integer"}),
        ({}, {"type": "string"}),
        (True, False),
        ({"enum": [1, 2]}, {"const": 1}),
    ],
)
def test_a_bound_is_narrowed_by_one_value_too(old: Schema, new: Schema) -> None:
    assert narrowings(old, new)
    assert narrowings(new, old) == []


@pytest.mark.parametrize(
    "schema", [{"multipleOf": 2}, {"properties": {"a": {"not": {}}}}, {"anyOf": [{}], "type": "object"}]
)
def test_a_schema_is_not_compared_by_half(schema: Schema) -> None:
    with pytest.raises(UnknownKeywordError):
        narrowings(schema, schema)


# Few names and values, so that schemas and instances often match and all instances can be tried.

SCALARS: list[Any] = [None, True, -1, 0, 1, 2, 0.5, "", "a", "b", "ab"]
SOME: list[Any] = [None, 0, 1, "a", "ab"]
INSTANCES: list[Any] = [
    *SCALARS,
    *(
        [],
        [[]],
        [{}],
        [{"a": 1}],
        *([item] for item in SCALARS),
        *([first, second] for first in SOME for second in SOME),
    ),
    *({}, {"a": {}}, {"a": []}, {"a": {"b": 1}}, {"c": 1}),
    *({name: item} for name in "ab" for item in SCALARS),
    *({"a": first, "b": second} for first in SOME for second in SOME),
]
NAMES = st.lists(st.sampled_from("ab"), unique=True)
NUMBERS: dict[str, Any] = dict.fromkeys(
    ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), st.integers(-1, 2)
)
LENGTHS = st.integers(0, 2)
KEYWORDS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "null": {},
    "boolean": {},
    "integer": NUMBERS,
    "number": NUMBERS,
    "string": {"minLength": LENGTHS, "maxLength": LENGTHS, "pattern": st.sampled_from(["^a", "b$"])},
}
SCALAR_TYPES = sorted(KEYWORDS)


def said(type_name: str, inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    """Schemas of one type. `inner`: the schemas of its items or fields."""
    keywords = {
        **KEYWORDS,
        "array": {"items": inner, "minItems": LENGTHS, "maxItems": LENGTHS},
        "object": {
            "properties": st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
            "required": NAMES,
            "additionalProperties": st.one_of(st.booleans(), inner),
            "dependencies": st.dictionaries(st.sampled_from("ab"), NAMES, min_size=1, max_size=1),
        },
    }[type_name]
    return st.fixed_dictionaries({"type": st.just(type_name)}, optional=keywords)


SIMPLE: st.SearchStrategy[Schema] = st.one_of(
    st.sampled_from(SCALAR_TYPES).flatmap(lambda name: said(name, st.nothing())),
    st.just({}),
    st.fixed_dictionaries({"type": st.lists(st.sampled_from(SCALAR_TYPES), min_size=1, unique=True)}),
    st.fixed_dictionaries({"const": st.sampled_from(INSTANCES)}),
    st.fixed_dictionaries({"enum": st.lists(st.sampled_from(INSTANCES), min_size=1, max_size=3)}),
)
SCHEMAS = st.one_of(
    SIMPLE,
    st.sampled_from(["array", "object"]).flatmap(lambda name: said(name, SIMPLE)),
    st.fixed_dictionaries({"anyOf": st.lists(SIMPLE, min_size=1, max_size=3)}),
)


@st.composite
def neighbours(draw: st.DrawFn) -> tuple[Schema, Schema]:
    """Two schemas of one type that differ in one keyword."""
    type_name = draw(st.sampled_from(["integer", "number", "array", "string", "object", "object", "object"]))
    old, other = draw(said(type_name, SIMPLE)), draw(said(type_name, SIMPLE))
    changed = draw(st.sampled_from(sorted({**old, **other})))
    return old, {name: value for name, value in {**old, changed: other.get(changed)}.items() if value is not None}


PAIRS = st.one_of(
    neighbours(),
    neighbours(),
    st.tuples(said("integer", SIMPLE), said("number", SIMPLE)),
    st.tuples(SCHEMAS, SCHEMAS),
    st.tuples(SIMPLE, SCHEMAS).map(lambda pair: (pair[0], {"anyOf": list(pair)})),
)


@settings(max_examples=300)  # drawing a pair costs more than comparing it, so each pair is compared in both directions
@given(PAIRS)
def test_if_nothing_is_narrowed_every_instance_of_the_old_schema_is_one_of_the_new(
    pair: tuple[Schema, Schema],
) -> None:
    for old, new in (pair, pair[::-1]):
        if not narrowings(old, new):
            before, after = Draft7Validator(old), Draft7Validator(new)
            lost = [value for value in INSTANCES if before.is_valid(value) and not after.is_valid(value)]
            assert lost == []


@given(SCHEMAS)
def test_a_schema_narrows_nothing_of_itself(schema: Schema) -> None:
    assert narrowings(schema, schema) == []
    assert narrowings(closed(schema), schema) == []
