"""Files that must be kept forever: each stands with its SHA-256 in its folder's SHA256SUMS, as sha256sum writes it.

`make asyncapi` and `make openapi` add the new ones. Nobody changes or removes a line:
`test_what_must_be_kept_is_kept` compares.
"""

import hashlib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "contracts" / "published"
FOLDERS = (PUBLISHED / "schemas", PUBLISHED / "http", ROOT / "tests" / "golden")
INDEX = "SHA256SUMS"


def listed(folder: Path) -> dict[str, str]:
    """SHA-256 in hex digits by path; in the order in which they were added."""
    index = folder / INDEX
    lines = index.read_text().splitlines() if index.exists() else []
    return {path: digest for digest, _, path in (line.partition("  ") for line in lines)}


def present(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*.json"))
    }


def add_new(folder: Path) -> None:
    known = listed(folder)
    new = {path: digest for path, digest in present(folder).items() if path not in known}
    lines = [f"{digest}  {path}\n" for path, digest in {**known, **new}.items()]
    (folder / INDEX).write_text("".join(lines))


if __name__ == "__main__":
    for kept in FOLDERS:
        add_new(kept)
