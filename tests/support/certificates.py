"""Certificates of a test's own authority, as files."""

from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from deploy.local.ports import LOOPBACK


class Authority:
    """Signs certificates; `ca` is the file with its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._authority = trustme.CA()
        self.ca = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(self.ca)

    def certificate(self, name: str) -> Path:
        """A file with a key, in PKCS #8 as Java wants it, and its certificate: for LOOPBACK and this common name."""
        made = self._authority.issue_cert(LOOPBACK, common_name=name)
        key = load_pem_private_key(made.private_key_pem.bytes(), None)
        text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file = self._folder / f"{name}.pem"
        file.write_bytes(text + b"".join(part.bytes() for part in made.cert_chain_pems))
        return file
