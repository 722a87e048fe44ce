"""Tests of the image. `make test-containers` builds it and runs them; elsewhere they are skipped."""

from collections.abc import Iterator
from contextlib import ExitStack

import docker
import pytest

from support import containers, server_choice
from support.image import Engine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if server_choice.CHOICE != "containers":
        why = "tests of the image need a container engine and the image: make test-containers"
        for item in items:
            if "containers" in item.path.parts:
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def client() -> Iterator[docker.DockerClient]:
    with containers.engine() as client:
        yield client


@pytest.fixture
def engine(client: docker.DockerClient) -> Iterator[Engine]:
    with ExitStack() as running:
        yield Engine(client, running)
