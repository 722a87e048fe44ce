"""The certificate of an ingress: loaded at the start, and again when its files change."""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from contracts.errors import OrdersError
from contracts.settings import PREFIX
from ingress.auth import CERTIFIED

RELOAD_CHECK_S = 5.0
"""Between two looks at the files, when connections come."""
_log = logging.getLogger(__name__)

Sign = list[tuple[int, int, int]]
"""What tells that a file is another one."""


class CertificateError(OrdersError):
    """The files of a certificate cannot be used; the text says what to do."""


class Certificate:
    """TLS 1.2 and newer with the certificate of these files."""

    def __init__(
        self, cert: Path, key: Path | None, client_ca: Path | None, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        """`key`: None if it is in the file of the certificate. `client_ca`: who signs the certificates of clients; None
        if nobody asks for them. Raises CertificateError."""
        self._cert, self._key, self._client_ca = cert, key, client_ca
        self._clock_s = clock_s
        self._sign, self._context = self._load()
        self._looked_s = clock_s()

    def context(self) -> ssl.SSLContext:
        """For a new connection. If new files cannot be used yet, the ones before are."""
        if self._clock_s() - self._looked_s >= RELOAD_CHECK_S:
            self._looked_s = self._clock_s()
            try:
                if _sign_of(self._files()) != self._sign:
                    self._sign, self._context = self._load()
                    _log.info("the certificate was read again")
            except (CertificateError, OSError) as error:
                _log.warning("the certificate that was read last is used: %s", error)
        return self._context

    def _load(self) -> tuple[Sign, ssl.SSLContext]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        try:
            # Before they are read: what changes meanwhile is read again.
            sign = _sign_of(filter(None, (self._cert, self._key)))
            context.load_cert_chain(self._cert, self._key, password=_no_password)
        except (OSError, ValueError) as error:
            raise CertificateError(
                f"The certificate {self._cert} and its key {self._key or self._cert} cannot be used: {error}. They "
                f"should be PEM files that belong together, the key without a password: {PREFIX}TLS_CERT, "
                f"{PREFIX}TLS_KEY."
            ) from None
        if self._client_ca is not None:
            context.verify_mode = ssl.CERT_OPTIONAL
            try:
                sign += _sign_of([self._client_ca])
                context.load_verify_locations(self._client_ca)
            except (OSError, ValueError) as error:
                raise CertificateError(
                    f"The certificates of {self._client_ca} cannot be used: {error}. It should be a PEM file with "
                    f"those of who signs for partners: {PREFIX}TLS_CLIENT_CA."
                ) from None
        return sign, context

    def _files(self) -> Iterable[Path]:
        return filter(None, (self._cert, self._key, self._client_ca))


def note_certificate(transport: asyncio.Transport, state: dict[str, Any]) -> None:
    """Notes in the `state` of a connection's requests whom the certificate of its client names, if it showed one."""
    if (certificate := transport.get_extra_info("peercert")) is not None:
        state[CERTIFIED] = name_of(certificate)


def name_of(certificate: Mapping[str, Any]) -> str | None:
    """The one common name of a client's certificate, as `getpeercert` tells of it. None if there is not just one."""
    parts = (part for parts in certificate.get("subject", ()) for part in parts)
    names = [str(value) for kind, value in parts if kind == "commonName"]
    return names[0] if len(names) == 1 else None


def _sign_of(files: Iterable[Path]) -> Sign:
    found = [file.stat() for file in files]
    return [(stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in found]


def _no_password() -> str:
    """Called if the key has one. Without this, OpenSSL would ask at the terminal."""
    raise ValueError("the key has a password")
