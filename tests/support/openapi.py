"""The OpenAPI document in tests: its schemas without references, and what a change of it breaks for partners."""

from collections.abc import Iterator
from typing import Any

from support.compatibility import narrowings

Document = dict[str, Any]


def resolved(document: Document, node: Any) -> Any:
    """`node` with what its references lead to in their places."""
    if isinstance(node, list):
        return [resolved(document, item) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        found: Any = document
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        return resolved(document, found)
    return {name: resolved(document, value) for name, value in node.items()}


def operations(document: Document) -> dict[str, Document]:
    """Each operation without references, by its method and path."""
    return {
        f"{method.upper()} {path}": resolved(document, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


def broken_promises(published: Document, now: Document) -> list[str]:
    """The rule of docs/internals/contract.md: what breaks for a client of `published` whose server is `now`."""
    before, after = operations(published), operations(now)
    found = [f"{name}: is gone" for name in before.keys() - after.keys()]
    for name in before.keys() & after.keys():
        found += [f"{name}: {why}" for why in _of_operation(before[name], after[name])]
    most = now["x-limits"]
    found += [f"{name}: is {most.get(name)}" for name, limit in published["x-limits"].items() if most[name] < limit]
    if published["security"] != now["security"]:
        found.append("another token")
    return sorted(found)


def _of_operation(before: Document, after: Document) -> Iterator[str]:
    if before["operationId"] != after["operationId"]:
        yield "has another operationId, which names it in generated clients"
    if before.get("security") != after.get("security"):
        yield "needs another token"
    parameters = {(said["in"], said["name"].lower()): said for said in before.get("parameters", ())}
    for said in after.get("parameters", ()):
        known = parameters.pop((said["in"], said["name"].lower()), None)
        if said.get("required") and not (known or {}).get("required"):
            yield f"{said['name']} is required"
        if known is not None:
            yield from (f"{said['name']} {why}" for why in narrowings(known["schema"], said["schema"]))
    yield from (f"{name} is not read any more" for _, name in parameters)
    if "requestBody" in before:
        yield from narrowings(_body(before["requestBody"]), _body(after["requestBody"]))
    for status in {*before["responses"], *after["responses"]}:
        yield from (f"{status} {why}" for why in _of_status(status, before["responses"], after["responses"]))


def _of_status(status: str, before: Document, after: Document) -> Iterator[str]:
    """An answer may become rarer, and a refusal may be new. A success is neither."""
    if status not in after or status not in before:
        if status < "400":
            yield "is new" if status in after else "is gone"
        return
    yield from narrowings(_body(after[status]), _body(before[status]))
    headers = {name.lower(): said for name, said in after[status].get("headers", {}).items()}
    for name, said in before[status].get("headers", {}).items():
        now = headers.get(name.lower())
        if now is not None:
            yield from (f"{name} {why}" for why in narrowings(now["schema"], said["schema"]))
        if said["required"] and not (now or {}).get("required"):
            yield f"{name} may be missing"


def _body(said: Document) -> Any:
    return said["content"]["application/json"]["schema"]
