"""`orders alive`: what the image's HEALTHCHECK runs, every few seconds. So it loads no settings and no client."""

import http.client
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
        (environment.get("ORDERS_HEALTH_HOST"), environment.get("ORDERS_HEALTH_PORT")),
        (environment.get("ORDERS_HOST"), environment.get("ORDERS_PORT", "8000")),
    ]
    said = [_ask(host or "127.0.0.1", port) for host, port in asked if port]
    if None not in said:
        raise NotAliveError("; ".join(map(str, said)))


def _ask(host: str, port: str) -> str | None:
    """None if it is alive, or else what it said."""
    host = _EVERYWHERE.get(host, host)
    try:
        with closing(http.client.HTTPConnection(host, int(port), timeout=TIMEOUT_S)) as connection:
            connection.request("GET", "/healthz")
            status = connection.getresponse().status
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"{host}:{port} does not answer ({error or type(error).__name__})"
    return None if status == 200 else f"{host}:{port} answered {status}"
