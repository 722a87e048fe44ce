"""deploy/compose.yaml, from passwords to an answered order, and that nothing is left of it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest

from contracts.sample import SAMPLE_BODY
from deploy.local.ports import LOOPBACK, free_port
from support.http import ORDERS_PATH, Connection, is_ready
from support.image import IMAGE
from support.kept import ROOT
from support.private_logs import keep_secret, require_private
from support.waiting import HANG_S, eventually

OURS = "kafka", "postgres", "setup", "ingress", "consumer"


class Project:
    """A copy of the compose file with passwords of its own."""

    def __init__(self, folder: Path) -> None:
        self.name = f"order-upsert-test-{os.getpid()}"
        self.port = free_port()
        self._folder = folder
        shutil.copy(ROOT / "deploy/compose.yaml", folder)
        shutil.copytree(ROOT / "deploy/compose", folder / "compose", ignore=shutil.ignore_patterns("secrets"))
        subprocess.run([sys.executable, folder / "compose/make-secrets"], check=True)
        keep_secret((folder / "compose/secrets/postgres_password").read_text())

    def run(self, *arguments: str) -> str:
        """The stdout of a command of podman-compose."""
        command = [str(Path(sys.executable).parent / "podman-compose"), "-p", self.name, "-f", "compose.yaml"]
        environment = {**os.environ, "ORDERS_IMAGE": IMAGE, "ORDERS_PUBLISH": f"{LOOPBACK}:{self.port}"}
        done = subprocess.run(
            [*command, *arguments],
            cwd=self._folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=2 * HANG_S,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def project(client: docker.DockerClient, tmp_path: Path) -> Iterator[Project]:
    if shutil.which("podman") is None:
        pytest.skip("podman-compose needs podman")
    made = Project(tmp_path)
    yield made
    made.run("down", "--volumes")
    for listing in (client.containers.list(all=True), client.volumes.list(), client.networks.list()):
        assert [item.name for item in listing if (item.name or "").startswith(made.name)] == []


def test_the_sample_is_answered_whichever_part_starts_first(project: Project, client: docker.DockerClient) -> None:
    for service in reversed(OURS):
        project.run("up", "--detach", service)
    eventually(lambda: is_ready(project.port), 2 * HANG_S)
    [token] = re.findall(r"ord_live_\w+", project.run("run", "--rm", "-T", "setup", "partners", "add", "shop"))
    keep_secret(token)
    headers = {"token": token, "Content-Type": "application/json"}
    with closing(Connection(project.port)) as connection:
        eventually(lambda: connection.request("POST", ORDERS_PATH, b'{"data": []}', headers).status == 200)
        assert connection.request("POST", ORDERS_PATH, SAMPLE_BODY.encode(), headers).counts == (1, 0, 0)
    containers = [item for item in client.containers.list(all=True) if (item.name or "").startswith(project.name)]
    assert len(containers) == len(OURS) + 1  # two consumers
    for container in containers:
        require_private(container.logs(), container.name)
        assert "postgresql://" not in str(container.attrs["Config"])
