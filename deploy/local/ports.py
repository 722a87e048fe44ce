"""Ports on loopback."""

import errno
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from deploy.errors import StackError

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class WantedPort:
    """`what` is about to listen on this port. `variable`: the setting that chooses another one."""

    port: int
    host: str
    what: str
    variable: str


def free_port() -> int:
    """A port that nothing listens on right now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(wanted: Iterable[WantedPort]) -> None:
    """Raises StackError if a port is taken or a host is wrong. Its text names each of them and its variable."""
    problems = [problem for port in wanted if (problem := _problem(port)) is not None]
    if problems:
        raise StackError("\n".join(problems))


def _problem(wanted: WantedPort) -> str | None:
    with socket.socket(socket.AF_INET6 if ":" in wanted.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a listener that just ended does not count
        try:
            probe.bind((wanted.host, wanted.port))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                return (
                    f"{wanted.host} for {wanted.what} is not an address of this machine: {error.strerror}.\n"
                    "Choose one with ORDERS_HOST."
                )
            return (
                f"Port {wanted.port} for {wanted.what} cannot be used: {error.strerror}.\n"
                f"Stop what listens there, or choose another port with {wanted.variable}=<port>."
            )
    return None
