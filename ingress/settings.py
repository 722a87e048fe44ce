"""Settings of the ingress."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from contracts.settings import KafkaSettings, LedgerSettings, MetricsSettings, PortNumber

Host = Annotated[str, Field(min_length=1, description="the address to listen on, 0.0.0.0 for all")]
Port = Annotated[PortNumber, Field(description="the port to listen on, 1 to 65535")]


class IngressSettings(KafkaSettings, LedgerSettings, MetricsSettings):
    """One ingress process, or the supervisor of several."""

    host: Host = "127.0.0.1"
    port: Port = 8000
    workers: Annotated[int, Field(ge=1, le=64, description="processes that share the port, 1 to 64")] = 1
    request_timeout_s: Annotated[
        float, Field(ge=1, le=300, description="how long a request waits for its outcomes, 1 to 300 seconds")
    ] = 10.0
    body_timeout_s: Annotated[
        float, Field(ge=1, le=300, description="how long a body may take to arrive, 1 to 300 seconds")
    ] = 30.0
    in_flight_orders_max: Annotated[
        int, Field(ge=1000, le=1_000_000, description="orders not answered yet in one process, 1000 to 1000000")
    ] = 20_000
    in_flight_bytes_max: Annotated[
        int, Field(ge=4 << 20, le=1 << 30, description="bytes of bodies not answered yet, 4194304 to 1073741824")
    ] = 32 << 20

    docs: Annotated[Literal["on", "off"], Field(description="on to serve the pages under /docs, or off")] = "on"

    tls_cert: Annotated[
        Path | None, Field(description="a PEM file with the certificate, and those up to its authority; unset: no TLS")
    ] = None
    tls_key: Annotated[
        Path | None, Field(description="a PEM file with its key; unset: it is in the file of the certificate")
    ] = None
    tls_client_ca: Annotated[
        Path | None, Field(description="a PEM file with who signs the certificates of partners; unset: none are asked")
    ] = None

    @property
    def delivery_timeout_s(self) -> float:
        """A record that Kafka does not acknowledge in this time has failed.

        It ends before the request's own deadline, so that the log says why the request is a 504.
        """
        return 0.8 * self.request_timeout_s
