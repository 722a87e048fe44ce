"""`make openapi`: writes the document, and what programs rely on of it if its version is not published yet."""

import sys
from pathlib import Path
from typing import Any

from contracts.errors import OrdersError
from contracts.ledger_reader import NoLedger
from deploy.publishing import publish, text_of
from ingress.admission import Admission
from ingress.openapi.document import VERSION
from ingress.routes import create_app
from ingress.settings import IngressSettings

TOLD_TO_PEOPLE = {"description", "summary", "example", "examples", "tags", "title", "x-codeSamples"}
_NAMES = {"properties", "schemas", "parameters", "headers", "paths", "responses", "securitySchemes", "links"}
"""What stands inside of these has names of our own, also `description`."""


def document() -> dict[str, Any]:
    """What an ingress serves at /openapi.json, with no Kafka and no Postgres."""
    settings = IngressSettings(kafka_bootstrap="none:1")
    return create_app(settings, NoLedger(), Admission(0, 0), lambda _: None).openapi()


def relied_on(node: Any, *, is_names: bool = False) -> Any:
    """The document without what only people read. It may be worded anew at any time."""
    if isinstance(node, list):
        return [relied_on(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        name: relied_on(value, is_names=not is_names and name in _NAMES)
        for name, value in node.items()
        if is_names or name not in TOLD_TO_PEOPLE
    }


def files() -> dict[str, str]:
    """The text of each generated file, by its path in the folder `contracts/published`."""
    made = document()
    return {f"http/{VERSION}.json": text_of(relied_on(made)), "openapi.json": text_of(made)}


def write(folder: Path) -> None:
    """Raises PublishedSchemaError, and writes nothing, if this version is published and differs."""
    publish(folder, files(), f"http/{VERSION}.json", VERSION, "ingress/openapi/document.py")


if __name__ == "__main__":
    try:
        write(Path(sys.argv[1]))
    except OrdersError as error:
        sys.exit(str(error))
