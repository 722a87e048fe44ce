"""`make docs-assets`: fetches what the API's pages show documents with, and writes the clients that they show."""

import base64
import gzip
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from contracts.errors import OrdersError
from deploy.code_samples import code_samples
from deploy.errors import DocsAssetError

FETCH_TIMEOUT_S = 300


def write(pages: Path, clients: Path) -> None:
    """Writes the files of `pages` that are made. Raises DocsAssetError, and keeps the old file, if one is not right."""
    manifest = json.loads((pages / "assets.json").read_text())
    script = _fetch(manifest)
    # The same bytes whenever it is made: no time, no name.
    (pages / "scalar.js.gz").write_bytes(gzip.compress(script, 9, mtime=0))
    write_samples(pages, clients)


def write_samples(pages: Path, clients: Path) -> None:
    text = json.dumps(code_samples(clients), indent=1, ensure_ascii=False) + "\n"
    (pages / "code_samples.json").write_text(text, encoding="utf-8")


def _fetch(manifest: dict[str, str]) -> bytes:
    """The file of the npm package that `manifest` names, as its hashes say."""
    name = f"{manifest['package']}@{manifest['version']}"
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", name, "--silent", "--pack-destination", folder]
        try:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=FETCH_TIMEOUT_S)
        except (OSError, subprocess.SubprocessError) as error:
            raise DocsAssetError(f"{name} cannot be fetched: {error}. Install npm, and look at its registry.") from None
        (archive,) = Path(folder).glob("*.tgz")
        content = archive.read_bytes()
        require(content, manifest)
        with tarfile.open(archive) as files:
            member = files.extractfile(manifest["file"])
            assert member is not None
            script = member.read()
    if hashlib.sha256(script).hexdigest() != manifest["sha256"]:
        raise DocsAssetError(f"{manifest['file']} of {name} does not have the sha256 that assets.json names.")
    return script


def require(content: bytes, manifest: dict[str, str]) -> None:
    """Raises DocsAssetError if the archive is not the one whose hash the manifest has."""
    digest = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    if digest != manifest["integrity"]:
        raise DocsAssetError(
            f"{manifest['package']} {manifest['version']} has the hash {digest}, not that of assets.json. "
            "If you changed the version, look at what changed, then write the new hash there."
        )


if __name__ == "__main__":
    try:
        write(Path(sys.argv[1]), Path(sys.argv[2]))
    except OrdersError as error:
        sys.exit(str(error))
