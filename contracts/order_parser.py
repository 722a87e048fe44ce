"""Reads an order: bytes to a model, or what is wrong with them, in the order of the document.

A model is the policy: `Order` takes what is well-formed, `StrictOrder` also refuses unknown fields and invalid data.
The walk is the same.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, SchemaValidator, core_schema

from contracts import limits, violations
from contracts.order import Order, Product
from contracts.strict_json import Location, Violation, first_nul, load, path_of
from contracts.strict_order import StrictOrder, StrictProduct

_ERRORS_MAX = 100
"""Of an order, in pydantic's list. With more, the walk costs less than the list."""


def parse_order(document: bytes) -> Order:
    """The order. Raises Violation with the first thing that is wrong."""
    return Order.model_validate(read_values(document, Order))


def read_values(document: bytes, model: type[Order]) -> dict[str, Any]:
    """The fields of the order, in the order of the model, with products as dicts. Optional fields may be None.

    Raises Violation: with the first thing that is wrong, and with VIOLATIONS_MAX of them if `model` is StrictOrder.
    """
    loaded, may_have_nul = load(document)
    has_nul = may_have_nul and first_nul(loaded) is not None
    rules, right = _rules(model), 0
    try:
        values: dict[str, Any] = rules.whole(loaded)
        if not has_nul:
            return values
    except ValidationError as error:  # its list of errors has neither the order nor the size that is promised
        right = 0 if has_nul else _right_products(error)
    found = list(islice(_wrong(loaded, rules, has_nul, right), limits.VIOLATIONS_MAX if rules.forbids_others else 1))
    told = [(path_of(location), error) for location, error in found]
    raise Violation(*told[0], told if rules.forbids_others else ())


class _Rules(NamedTuple):
    """Of a model. `whole` gives the values of an object, `checks` those of its fields. They raise ValidationError."""

    schema: CoreSchema
    whole: Callable[[object], Any]
    checks: Mapping[str, Callable[[object], object]]
    required: frozenset[str]
    forbids_others: bool


@cache
def _rules(model: type[BaseModel]) -> _Rules:
    forbids_others = model.model_config.get("extra") == "forbid"
    fields = model.model_fields
    types: dict[str, Any] = {name: Annotated[field.annotation, field] for name, field in fields.items()}
    schemas = {name: TypeAdapter(kind).core_schema for name, kind in types.items()}
    checks = {name: SchemaValidator(schema).validate_python for name, schema in schemas.items()}
    if "products" in fields:
        product = _rules(_product_of(model)).schema
        most = limits.PRODUCTS_PER_ORDER_MAX
        schemas["products"] = core_schema.list_schema(product, max_length=most, fail_fast=True)
    # The values as a dict: it is made in half the time of the model.
    schema = core_schema.typed_dict_schema(
        {
            name: core_schema.typed_dict_field(schemas[name], required=field.is_required())
            for name, field in fields.items()
        },
        extra_behavior="forbid" if forbids_others else "ignore",
    )
    required = frozenset(name for name, field in fields.items() if field.is_required())
    return _Rules(schema, SchemaValidator(schema).validate_python, checks, required, forbids_others)


def _product_of(model: type[BaseModel]) -> type[BaseModel]:
    return StrictProduct if issubclass(model, StrictOrder) else Product


def _right_products(error: ValidationError) -> int:
    """How many products are known to be right: `whole` ends at the first one that is not."""
    if error.error_count() > _ERRORS_MAX:
        return 0
    for found in error.errors(include_url=False, include_context=False, include_input=False):
        if found["loc"][:1] == ("products",):
            return int(found["loc"][1]) if len(found["loc"]) > 1 else 0
    return limits.PRODUCTS_PER_ORDER_MAX


def _wrong(item: Any, rules: _Rules, has_nul: bool, right: int = 0) -> Iterator[tuple[Location, str]]:
    """(location, error) of all that is wrong with an order or a product. What is missing comes last.

    `right`: how many of its products need no look.
    """
    if not isinstance(item, dict):
        yield (), violations.NOT_AN_OBJECT.said()
        return
    for name, value in item.items():
        check = rules.checks.get(name)
        if name == "products" and check is not None:
            yield from _wrong_products(value, rules, has_nul, right)
        elif has_nul and (nul := _nul_in(name, value)) is not None:
            yield nul
        elif check is not None:
            try:
                check(value)
            except ValidationError as error:
                yield (name,), error.errors(include_url=False, include_context=False, include_input=False)[0]["msg"]
        elif rules.forbids_others:
            yield (name,), violations.UNKNOWN_FIELD.said()
    if not rules.required <= item.keys():
        missing = (name for name in rules.checks if name in rules.required - item.keys())
        yield from (((name,), violations.FIELD_REQUIRED.said()) for name in missing)


def _wrong_products(items: Any, rules: _Rules, has_nul: bool, right: int) -> Iterator[tuple[Location, str]]:
    if not isinstance(items, list):
        yield ("products",), violations.NOT_AN_ARRAY.said()
        return
    rules = _rules(StrictProduct if rules.forbids_others else Product)
    for index, item in enumerate(items[right : limits.PRODUCTS_PER_ORDER_MAX], right):
        for location, error in _wrong(item, rules, has_nul):
            yield ("products", index, *location), error
    if len(items) > limits.PRODUCTS_PER_ORDER_MAX:
        yield ("products",), violations.TOO_MANY_ITEMS.said(items_max=limits.PRODUCTS_PER_ORDER_MAX)


def _nul_in(name: str, value: object) -> tuple[Location, str] | None:
    is_suspicious = "\0" in name or isinstance(value, dict | list) or (isinstance(value, str) and "\0" in value)
    return first_nul({name: value}) if is_suspicious else None
