"""`orders alive`: what the image's HEALTHCHECK runs, every few seconds. So it loads no settings and no client."""

import http.client
import ssl
from collections.abc import Mapping
from contextlib import closing

from deploy.errors import NotAliveError

TIMEOUT_S = 5.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def alive(environment: Mapping[str, str]) -> None:
    """Returns if the health port of a consumer, or the port of an ingress, answers GET /healthz with 200.

    An image is told of both ports, and knows not which process it runs. Raises NotAliveError.
    """
    asked = [
        (environment.get("ORDERS_HEALTH_HOST"), environment.get("ORDERS_HEALTH_PORT"), False),
        (
            environment.get("ORDERS_HOST"),
            environment.get("ORDERS_PORT", "8000"),
            bool(environment.get("ORDERS_TLS_CERT")),
        ),
    ]
    said = [_ask(host or "127.0.0.1", port, tls) for host, port, tls in asked if port]
    if None not in said:
        raise NotAliveError("; ".join(map(str, said)))


def _ask(host: str, port: str, tls: bool) -> str | None:
    """None if it is alive, or else what it said."""
    host = _EVERYWHERE.get(host, host)
    try:
        with closing(_connection(host, int(port), tls)) as connection:
            connection.request("GET", "/healthz")
            status = connection.getresponse().status
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"{host}:{port} does not answer ({error or type(error).__name__})"
    return None if status == 200 else f"{host}:{port} answered {status}"


def _connection(host: str, port: int, tls: bool) -> http.client.HTTPConnection:
    if not tls:
        return http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    context = ssl.create_default_context()
    context.check_hostname = False  # it is asked by its address, and asked nothing secret
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)
