"""Whether one JSON Schema takes everything that another one takes, for the keywords that our schemas use.

The answer *yes* is always true (a property test holds this). *No* may be wrong: then a person decides.
A keyword that is not known here raises, so that no schema is compared in part.
"""

from collections.abc import Iterator
from typing import Any

from jsonschema import Draft7Validator

Schema = dict[str, Any]

ANNOTATIONS = {"$schema", "title", "description", "examples", "default", "format"} | {
    "contentEncoding",
    "contentMediaType",
}
VALUES = {"const", "enum"}
LOWER, UPPER = ("minLength", "minItems"), ("maxLength", "maxItems")
BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
OF_TYPE = {
    "null": set[str](),
    "boolean": set[str](),
    "integer": BOUNDS,
    "number": BOUNDS,
    "string": {"minLength", "maxLength", "pattern"},
    "array": {"items", "minItems", "maxItems"},
    "object": {"properties", "required", "additionalProperties", "dependencies"},
}
KNOWN = ANNOTATIONS | VALUES | {"type", "anyOf"} | set[str]().union(*OF_TYPE.values())


class UnknownKeywordError(Exception):
    """A schema says something that this module cannot compare."""


def narrowings(old: Schema, new: Schema) -> list[str]:
    """What `old` takes and `new` may not, each with its path. Empty if every instance of `old` is one of `new`."""
    return list(_narrowings(old, new, "$"))


def closed(schema: Schema) -> Schema:
    """The schema of a writer that knows only these fields: other fields are missing, instead of arbitrary."""
    made = dict(schema)
    if "properties" in schema:
        made["properties"] = {name: closed(field) for name, field in schema["properties"].items()}
        made["additionalProperties"] = False
    if "items" in schema:
        made["items"] = closed(schema["items"])
    if "anyOf" in schema:
        made["anyOf"] = [closed(alternative) for alternative in schema["anyOf"]]
    return made


def _narrowings(old: Schema | bool, new: Schema | bool, at: str) -> Iterator[str]:
    if old is False or new is True:
        return
    if new is False:
        yield f"{at}: is not allowed any more"
        return
    new_branches = list(_branches(new))
    for branch in _branches({} if old is True else old):
        found = [list(_of_branch(branch, candidate, at)) for candidate in new_branches]
        if all(found):
            yield from min(found, key=len, default=[f"{at}: nothing is allowed any more"])


def _branches(schema: Schema | bool) -> Iterator[Schema]:
    """The schema as alternatives of one type each. An alternative with given values has no type."""
    if schema is False:
        return
    if schema is True:
        schema = {}
    if schema.keys() - KNOWN:
        raise UnknownKeywordError(", ".join(sorted(schema.keys() - KNOWN)))
    said = {name: value for name, value in schema.items() if name not in ANNOTATIONS}
    if "anyOf" in said:
        if said.keys() != {"anyOf"}:
            raise UnknownKeywordError(f"anyOf beside {', '.join(sorted(said.keys() - {'anyOf'}))}")
        for alternative in said["anyOf"]:
            yield from _branches(alternative)
    elif said.keys() & VALUES:
        yield said
    else:
        types = said.get("type", ["null", "boolean", "number", "string", "array", "object"])
        for name in [types] if isinstance(types, str) else types:
            yield {"type": name, **{word: value for word, value in said.items() if word in OF_TYPE[name]}}


def _of_branch(old: Schema, new: Schema, at: str) -> Iterator[str]:
    if old.keys() & VALUES:
        values = [old["const"]] if "const" in old else old["enum"]
        possible = [value for value in values if Draft7Validator(old).is_valid(value)]
        yield from (f"{at}: not {value!r} any more" for value in possible if not Draft7Validator(new).is_valid(value))
    elif new.keys() & VALUES:
        yield f"{at}: only certain values"
    elif old["type"] != new["type"] and (old["type"], new["type"]) != ("integer", "number"):
        yield f"{at}: {old['type']} has become {new['type']}"
    else:
        yield from _limits(old, new, at)
        yield from _objects(old, new, at)
        if "items" in new and old.get("maxItems") != 0:
            yield from _narrowings(old.get("items", True), new["items"], f"{at}[]")


def _limits(old: Schema, new: Schema, at: str) -> Iterator[str]:
    for name in LOWER:
        if new.get(name, 0) > old.get(name, 0):
            yield f"{at}: {name} is {new[name]}"
    for name in UPPER:
        if name in new and (name not in old or new[name] < old[name]):
            yield f"{at}: {name} is {new[name]}"
    if "pattern" in new and new["pattern"] != old.get("pattern"):
        yield f"{at}: the pattern is {new['pattern']}"
    for inclusive, exclusive, sign in (("minimum", "exclusiveMinimum", 1), ("maximum", "exclusiveMaximum", -1)):
        before, after = _bound(old, inclusive, exclusive, sign), _bound(new, inclusive, exclusive, sign)
        if after is not None and (before is None or after > before):
            yield f"{at}: {inclusive} is {sign * after[0]}{', exclusive' if after[1] else ''}"


def _bound(schema: Schema, inclusive: str, exclusive: str, sign: int) -> tuple[float, bool] | None:
    """The tighter bound, as a lower bound: an upper bound has its sign turned."""
    bounds = [(sign * schema[name], name == exclusive) for name in (inclusive, exclusive) if name in schema]
    return max(bounds, default=None)


def _objects(old: Schema, new: Schema, at: str) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    others_before, others_after = old.get("additionalProperties", True), new.get("additionalProperties", True)
    required = set(old.get("required", []))
    yield from (f"{at}.{name}: is required" for name in new.get("required", []) if name not in required)
    for name in {**before, **after}:
        yield from _narrowings(before.get(name, others_before), after.get(name, others_after), f"{at}.{name}")
    yield from _narrowings(others_before, others_after, f"{at}.*")
    for name, needed in new.get("dependencies", {}).items():
        if before.get(name, others_before) is False:
            continue
        have = required | set(old.get("dependencies", {}).get(name, []))
        yield from (f"{at}.{other}: is required beside {name}" for other in needed if other not in have)
