"""What a killed test run left in the engine is removed by the next one."""

import subprocess
import sys

import docker
import pytest
from docker.errors import NotFound

from support import containers
from support.image import IMAGE, Engine


def test_containers_of_a_dead_run_are_removed_and_those_of_a_living_one_stay(
    engine: Engine, client: docker.DockerClient
) -> None:
    living = engine.start("--help")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    [ours] = containers.label().values()
    boot, _, start = ours.split("/")
    left = client.containers.create(IMAGE, labels={containers.LABEL: f"{boot}/{dead.pid}/{start}"})
    assert living.id is not None
    assert left.id is not None
    with containers.engine() as again:
        assert again.containers.get(living.id).id == living.id
        with pytest.raises(NotFound):
            again.containers.get(left.id)
