"""`make asyncapi`: writes the document, and the schemas if their version is not published yet."""

import json
import sys
from pathlib import Path

from contracts.errors import OrdersError
from deploy.asyncapi.document import document
from deploy.asyncapi.schemas import VERSION, schemas
from deploy.errors import PublishedSchemaError


def files() -> dict[str, str]:
    """The text of each generated file, by its path in the folder `contracts/published`."""
    dialect = {"$schema": "http://json-schema.org/draft-07/schema#"}
    by_name = {f"schemas/{VERSION}/{name}.json": {**dialect, **schema} for name, schema in schemas().items()}
    return {path: _text(content) for path, content in {**by_name, "asyncapi.json": document()}.items()}


def write(folder: Path) -> None:
    """Raises PublishedSchemaError, and writes nothing, if a published schema of this version differs."""
    contents = files()
    if (folder / "schemas" / VERSION).exists():
        changed = [
            path for path, text in contents.items() if path.startswith("schemas/") and _differs(folder / path, text)
        ]
        if changed:
            raise PublishedSchemaError(
                f"Version {VERSION} of the schemas is published, and these differ from it: {', '.join(changed)}.\n"
                "Raise VERSION in deploy/asyncapi/schemas.py. "
                f"Or remove the folder of {VERSION}, if nobody has seen it yet."
            )
    for path, text in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def _differs(file: Path, text: str) -> bool:
    return not file.exists() or file.read_text() != text


def _text(content: object) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    try:
        write(Path(sys.argv[1]))
    except OrdersError as error:
        sys.exit(str(error))
