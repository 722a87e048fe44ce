"""Writes generated files of the published contract. What is published of a version never changes."""

import json
from pathlib import Path

from deploy.errors import PublishedSchemaError


def publish(folder: Path, contents: dict[str, str], kept: str, version: str, version_is_in: str) -> None:
    """Writes `contents`, texts by their paths in `folder`.

    `kept`: the path that what stays forever begins with. Raises PublishedSchemaError, and writes nothing, if it is
    there and differs. `version_is_in`: the source file to change then.
    """
    if (folder / kept).exists():
        changed = [path for path, text in contents.items() if path.startswith(kept) and _differs(folder / path, text)]
        if changed:
            raise PublishedSchemaError(
                f"Version {version} is published, and these differ from it: {', '.join(changed)}.\n"
                f"Raise VERSION in {version_is_in}. Or remove {kept}, if nobody has seen this version yet."
            )
    for path, text in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def text_of(content: object) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _differs(file: Path, text: str) -> bool:
    return not file.exists() or file.read_text() != text
