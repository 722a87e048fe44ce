"""The image of this checkout, run as it is meant to run in production: read-only, without any capability."""

import os
import secrets
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import docker
from docker.models.containers import Container

from support import containers
from support.private_logs import require_private

IMAGE = os.environ.get("IMAGE", "localhost/order-upsert:dev")
HARDENED: dict[str, Any] = {
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "network_mode": "host",  # the servers of the tests listen on loopback
}


@dataclass(frozen=True)
class Ran:
    """A container of the image that has ended."""

    exit_code: int
    stdout: str
    output: str
    """Of stdout and stderr."""


class Engine:
    """Starts containers of the image. What it started is removed with `running`."""

    def __init__(self, client: docker.DockerClient, running: ExitStack) -> None:
        self.client = client
        self._running = running

    def start(self, *command: str, environment: Mapping[str, str] | None = None, **options: Any) -> Container:
        """A process, whose log is private."""
        container = self._create(command, environment, options)
        self._running.callback(container.remove, force=True, v=True)
        self._running.callback(lambda: require_private(container.logs(), container.name))
        container.start()
        return container

    def run(self, *command: str, environment: Mapping[str, str] | None = None, **options: Any) -> Ran:
        """A command, to its end."""
        container = self._create(command, environment, options)
        try:
            container.start()
            code = container.wait()["StatusCode"]
            return Ran(code, container.logs(stderr=False).decode(), container.logs().decode())
        finally:
            container.remove(force=True, v=True)

    def _create(
        self, command: tuple[str, ...], environment: Mapping[str, str] | None, options: dict[str, Any]
    ) -> Container:
        return self.client.containers.create(
            options.pop("image", IMAGE),
            list(command),
            environment=dict(environment or {}),
            name=f"order-upsert-{secrets.token_hex(4)}",
            labels=containers.label(),
            **{**HARDENED, **options},
        )
