"""HTTPS: what clients may do to a server over TLS, and a certificate that is renewed."""

import logging
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from deploy.commands.alive import alive
from deploy.errors import NotAliveError
from deploy.local.ports import LOOPBACK
from ingress import tls, tls_connection
from ingress.auth import CERTIFIED
from ingress.tls import Certificate
from integration.test_server import (
    Served,
    _hasty,
    serving,
    test_a_body_of_too_many_chunks_is_refused,
    test_a_drain_ends_whatever_clients_do,
    test_a_request_is_served_only_when_the_answer_before_it_is_read,
    test_what_is_wrong_behind_a_request_in_flight_does_not_take_its_answer,
    test_what_waits_on_a_connection_is_bounded_however_much_is_sent,
    test_who_does_not_read_its_answer_is_cut_off,
)
from support.certificates import Authority
from support.http import RawConnection

__all__ = [
    "_hasty",
    "test_a_body_of_too_many_chunks_is_refused",
    "test_a_drain_ends_whatever_clients_do",
    "test_a_request_is_served_only_when_the_answer_before_it_is_read",
    "test_what_is_wrong_behind_a_request_in_flight_does_not_take_its_answer",
    "test_what_waits_on_a_connection_is_bounded_however_much_is_sent",
    "test_who_does_not_read_its_answer_is_cut_off",
]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def served(authority: Authority) -> Iterator[Served]:
    with serving(certificate=Certificate(authority.certificate("server"), None, authority.ca)) as started:
        started.context = ssl.create_default_context(cafile=authority.ca)
        yield started


def status_of(served: Served) -> int:
    with served.connect() as connection:
        connection.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        return connection.read_answer().status


def test_the_health_check_of_the_image_needs_no_authority_and_no_certificate(served: Served) -> None:
    alive({"ORDERS_PORT": str(served.port), "ORDERS_TLS_CERT": "set"})
    with pytest.raises(NotAliveError):
        alive({"ORDERS_PORT": str(served.port)})


def test_who_connects_and_does_not_speak_tls_keeps_nobody_out(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tls_connection, "HANDSHAKES_MAX", 5)
    caplog.set_level(logging.DEBUG)
    with ExitStack() as silent:
        others = [
            silent.enter_context(socket.create_connection((LOOPBACK, served.port), timeout=30)) for _ in range(20)
        ]
        assert status_of(served) == 200
        assert others[0].recv(1) == b""
        others[-1].sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert b"HTTP" not in others[-1].recv(100)
        assert status_of(served) == 200
    assert "Traceback" not in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_handshake_that_takes_too_long_ends(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_connection, "HANDSHAKE_TIMEOUT_S", 0.1)
    with RawConnection(served.port) as connection:
        connection.send(b"\x16\x03\x01")
        assert connection.at_end()


def test_an_old_version_of_tls_is_refused(served: Served, authority: Authority) -> None:
    served.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    served.context.load_verify_locations(authority.ca)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        served.context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        served.connect()


def test_a_renewed_certificate_is_shown_to_new_connections(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "RELOAD_CHECK_S", 0)
    file = authority.certificate("renewed")
    with serving(certificate=Certificate(file, None, None)) as served:
        served.context = ssl.create_default_context(cafile=authority.ca)
        with served.connect() as before:
            shown = peer_of(before)
            new = authority.certificate("new")
            os.replace(new, file)
            with served.connect() as after:
                assert peer_of(after) != shown
            before.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            assert before.read_answer().status == 200


def peer_of(connection: RawConnection) -> bytes | None:
    assert isinstance(connection.socket, ssl.SSLSocket)
    return connection.socket.getpeercert(binary_form=True)


def test_the_name_of_a_client_is_that_of_its_certificate(
    served: Served, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def name(certificate: str | None, signer: Authority = authority) -> object:
        served.context = ssl.create_default_context(cafile=authority.ca)
        if certificate is not None:
            served.context.load_cert_chain(signer.certificate(certificate))
        status_of(served)
        return served.app.states[-1].get(CERTIFIED, "not asked")

    assert name(None) == "not asked"
    assert name("acme") == "acme"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        name("acme", Authority(tmp_path_factory.mktemp("others")))
