"""Ports on loopback."""

import errno
import socket

from deploy.errors import StackError

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port that nothing listens on right now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int, host: str, what: str, variable: str) -> None:
    """Raises StackError if the port is taken or the host is wrong. Its text names the variable to change."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a listener that just ended does not count
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise StackError(
                    f"{host} for {what} is not an address of this machine: {error.strerror}.\n"
                    "Choose one with ORDERS_HOST."
                ) from None
            raise StackError(
                f"Port {port} for {what} cannot be used: {error.strerror}.\n"
                f"Stop what listens there, or choose another port with {variable}=<port>."
            ) from None
