"""`make asyncapi`: writes the document, and the schemas if their version is not published yet."""

import sys
from pathlib import Path

from contracts.errors import OrdersError
from deploy.asyncapi.document import document
from deploy.asyncapi.schemas import VERSION, schemas
from deploy.publishing import publish, text_of


def files() -> dict[str, str]:
    """The text of each generated file, by its path in the folder `contracts/published`."""
    dialect = {"$schema": "http://json-schema.org/draft-07/schema#"}
    by_name = {f"schemas/{VERSION}/{name}.json": {**dialect, **schema} for name, schema in schemas().items()}
    return {path: text_of(content) for path, content in {**by_name, "asyncapi.json": document()}.items()}


def write(folder: Path) -> None:
    """Raises PublishedSchemaError, and writes nothing, if a published schema of this version differs."""
    publish(folder, files(), f"schemas/{VERSION}", VERSION, "deploy/asyncapi/schemas.py")


if __name__ == "__main__":
    try:
        write(Path(sys.argv[1]))
    except OrdersError as error:
        sys.exit(str(error))
