"""Which servers the tests have, and which containers a dead run left. No engine is asked here."""

import os
import subprocess
import sys

import pytest

from support import containers, server_choice


def test_an_engine_that_nobody_named_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def missing(*images: str) -> str | None:
        asked.append(images)
        return None

    monkeypatch.setattr(containers, "missing", missing)
    monkeypatch.setattr(server_choice, "CHOICE", "auto")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    assert (server_choice.are_containers(), asked) == (False, [])
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/engine.sock")
    assert server_choice.are_containers()
    assert asked == [(containers.KAFKA_IMAGE, containers.POSTGRES_IMAGE)]
    monkeypatch.setattr(containers, "missing", lambda *_: "no container engine answers")
    assert not server_choice.are_containers()


def test_what_is_given_reaches_the_workers_of_a_run_and_no_process_of_a_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each worker inherits the environment that the first process has left."""
    monkeypatch.setenv("ORDERS_KAFKA_BOOTSTRAP", "here:1")
    monkeypatch.setenv("TESTS_ORDERS_KAFKA_BOOTSTRAP", "")  # put back at the end
    assert server_choice.given("ORDERS_KAFKA_BOOTSTRAP") == "here:1"
    assert "ORDERS_KAFKA_BOOTSTRAP" not in os.environ
    assert server_choice.given("ORDERS_KAFKA_BOOTSTRAP") == "here:1"


def test_a_choice_is_taken_as_it_is_and_a_wrong_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for choice, are_containers in (("local", False), ("containers", True)):
        monkeypatch.setattr(server_choice, "CHOICE", choice)
        assert server_choice.are_containers() is are_containers
    monkeypatch.setattr(server_choice, "CHOICE", "docker")
    with pytest.raises(pytest.UsageError, match="It should be one of: auto, containers, local"):
        server_choice.are_containers()


def test_an_engine_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/engine.sock")
    told = containers.missing("docker.io/library/postgres:18")
    assert told is not None
    assert "no container engine answers" in told


def test_only_containers_of_dead_runs_of_this_boot_are_left() -> None:
    [ours] = containers.label().values()
    boot, pid, start = ours.split("/")
    assert pid == str(os.getpid())
    assert not containers.is_left(ours)
    assert containers.is_left(f"{boot}/{pid}/{int(start) - 1}")  # another process had this pid
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert containers.is_left(f"{boot}/{ended.pid}/{start}")
    assert not containers.is_left(f"other-boot/{ended.pid}/{start}")
    assert not containers.is_left("")


def test_kafka_s_properties_are_named_as_the_image_wants_them() -> None:
    assert containers.variable_of("log.dirs") == "KAFKA_LOG_DIRS"
    assert containers.variable_of("a.b_c-d") == "KAFKA_A_B__C___D"
