"""The certificate of an ingress is read again when its files change, and never half."""

import os
import ssl
from pathlib import Path

import pytest

from contracts.ledger_reader import NoLedger
from contracts.settings import load
from ingress.server import ServeError, serve
from ingress.settings import IngressSettings
from ingress.tls import RELOAD_CHECK_S, Certificate, CertificateError, name_of
from support.certificates import Authority
from support.clocks import Clock


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def replace(file: Path, content: bytes) -> None:
    """As a tool that renews certificates does, at another time."""
    file.write_bytes(content)
    stat = file.stat()
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000))


def test_new_files_are_used_for_new_connections(authority: Authority) -> None:
    clock, file = Clock(), authority.certificate("one")
    certificate = Certificate(file, None, None, clock)
    first = certificate.context()
    replace(file, authority.certificate("two").read_bytes())
    assert certificate.context() is first
    clock.now_s += RELOAD_CHECK_S
    second = certificate.context()
    assert second is not first
    clock.now_s += RELOAD_CHECK_S
    assert certificate.context() is second


def test_files_that_do_not_belong_together_are_not_used(authority: Authority) -> None:
    """The key is written after the certificate, or one of them is gone for a moment."""
    clock, cert, key = Clock(), authority.certificate("cert"), authority.certificate("key")
    key.write_bytes(cert.read_bytes())
    certificate = Certificate(cert, key, None, clock)
    first = certificate.context()
    other = authority.certificate("other").read_bytes()
    for content in (other, b"", b"no PEM"):
        replace(cert, content)
        clock.now_s += RELOAD_CHECK_S
        assert certificate.context() is first
    cert.unlink()
    clock.now_s += RELOAD_CHECK_S
    assert certificate.context() is first
    replace(key, other)
    replace(cert, other)
    clock.now_s += RELOAD_CHECK_S
    assert certificate.context() is not first


def test_clients_are_asked_for_certificates_if_an_authority_is_named(authority: Authority) -> None:
    file = authority.certificate("one")
    assert Certificate(file, None, None).context().verify_mode is ssl.CERT_NONE
    context = Certificate(file, None, authority.ca).context()
    assert context.verify_mode is ssl.CERT_OPTIONAL
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_what_cannot_be_used_stops_the_start(authority: Authority, tmp_path: Path) -> None:
    file, missing = authority.certificate("one"), tmp_path / "missing"
    for cert, key, client_ca, variable in (
        (missing, None, None, "ORDERS_TLS_CERT"),
        (file, missing, None, "ORDERS_TLS_KEY"),
        (file, authority.certificate("two"), None, "ORDERS_TLS_KEY"),
        (authority.ca, None, None, "ORDERS_TLS_CERT"),
        (file, None, missing, "ORDERS_TLS_CLIENT_CA"),
        (file, None, tmp_path, "ORDERS_TLS_CLIENT_CA"),
    ):
        with pytest.raises(CertificateError, match=variable):
            Certificate(cert, key, client_ca)


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(authority: Authority, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    file = authority.certificate("one")
    key = load_pem_private_key(file.read_bytes().partition(b"-----BEGIN CERT")[0], None)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")))
    with pytest.raises(CertificateError, match="the key has a password"):
        Certificate(file, locked, None)


def test_settings_of_tls_without_a_certificate_are_refused(
    monkeypatch: pytest.MonkeyPatch, authority: Authority
) -> None:
    monkeypatch.setenv("ORDERS_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    monkeypatch.setenv("ORDERS_TLS_CLIENT_CA", str(authority.ca))
    with pytest.raises(ServeError, match="ORDERS_TLS_CERT is not set"):
        serve(load(IngressSettings), NoLedger())


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        (((("commonName", "acme"),),), "acme"),
        (((("organizationName", "x"),), (("commonName", "acme"),)), "acme"),
        (((("commonName", "acme"),), (("commonName", "other"),)), None),
        (((("organizationName", "acme"),),), None),
        ((), None),
    ],
)
def test_a_certificate_names_one_partner_or_none(subject: object, name: str | None) -> None:
    assert name_of({"subject": subject}) == name
    assert name_of({}) is None
