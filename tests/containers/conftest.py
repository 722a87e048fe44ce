"""Tests of the image. `make test-containers` builds it and runs them; elsewhere they are skipped."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import docker
import pytest

from support import containers
from support.image import Engine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if containers.CHOICE != "containers":
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


@pytest.fixture(scope="session")
def files(client: docker.DockerClient) -> Callable[[str], set[str]]:
    """A function that lists every file of an image, one a line: mode, owner, SHA-256 and path."""
    script = (
        "cd / && find . -xdev -path ./proc -prune -o -path ./sys -prune -o -path ./dev -prune -o -path ./run -prune -o "
        "-path ./etc/hosts -prune -o -path ./etc/hostname -prune -o -path ./etc/resolv.conf -prune -o "
        "-type f -printf '%m %U ' -exec sha256sum {} ';'"
    )

    def listing(image: str) -> set[str]:
        output = client.containers.run(
            image, ["-c", script], entrypoint="sh", user="0", remove=True, labels=containers.label(), stderr=False
        )
        return set(output.decode().splitlines())

    return listing
