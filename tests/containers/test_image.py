"""The image, as production runs it: read-only, without capabilities and privileges, as a user that is not root."""

import os
import re
import subprocess
from contextlib import closing

import docker
from docker.models.containers import Container

from contracts.sample import SAMPLE_BODY
from deploy.local.ports import free_port
from support.http import ORDERS_PATH, Connection, is_ready
from support.image import IMAGE, Engine
from support.installation import Installation
from support.kept import ROOT
from support.private_logs import keep_secret
from support.waiting import eventually

ON_TOP_BYTES_MAX = 90_000_000
USER = "10001"
SEVERAL_MINUTES_S = 1200
LISTING = """
import hashlib, os
OF_THE_ENGINE = "/proc", "/sys", "/dev", "/run", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"
for folder, folders, names in os.walk("/"):
    folders[:] = [name for name in folders if os.path.join(folder, name) not in OF_THE_ENGINE]
    for path in (os.path.join(folder, name) for name in names):
        if path not in OF_THE_ENGINE:
            about = os.lstat(path)
            content = os.readlink(path) if os.path.islink(path) else hashlib.sha256(open(path, "rb").read()).hexdigest()
            print(oct(about.st_mode), about.st_uid, content, path)
"""


def is_healthy(container: Container) -> bool:
    """Runs the HEALTHCHECK of the image by hand: some engines schedule none."""
    check = container.attrs["Config"]["Healthcheck"]["Test"]
    assert check[0] == "CMD"
    return bool(container.exec_run(check[1:]).exit_code == 0)


def ends_well(container: Container) -> None:
    container.kill("SIGTERM")
    assert container.wait()["StatusCode"] == 0, container.logs().decode()


def test_the_sample_goes_through_the_image_and_sigterm_ends_each_process_well(
    engine: Engine, installation: Installation
) -> None:
    variables = installation.environment
    assert engine.run("setup", environment=variables).exit_code == 0
    token = engine.run("partners", "add", "demo", environment=variables).stdout.strip()
    keep_secret(token)
    consumer = engine.start("consumer", environment={**variables, "ORDERS_HEALTH_PORT": str(free_port())})
    port = free_port()
    ingress = engine.start("ingress", environment={**variables, "ORDERS_PORT": str(port)})
    eventually(lambda: is_ready(port))
    headers = {"token": token, "Content-Type": "application/json"}
    with closing(Connection(port)) as connection:
        body = SAMPLE_BODY.encode()
        assert connection.request("POST", ORDERS_PATH, body, headers).counts == (1, 0, 0)
        assert connection.request("POST", ORDERS_PATH, body, headers).counts == (0, 0, 1)
    assert is_healthy(ingress)
    ends_well(ingress)
    ends_well(consumer)


def test_a_process_that_is_not_alive_is_told(engine: Engine) -> None:
    port = free_port()
    nobody = {"ORDERS_PORT": str(port), "ORDERS_HEALTH_PORT": str(free_port())}
    told = engine.run("alive", environment=nobody)
    assert told.exit_code == 1
    assert f"127.0.0.1:{port} does not answer" in told.output


def test_a_wrong_setting_ends_a_container_with_its_name(engine: Engine) -> None:
    told = engine.run("ingress")
    assert (told.exit_code, "ORDERS_KAFKA_BOOTSTRAP is not set" in told.output) == (1, True)


def test_nothing_in_it_installs_or_compiles(engine: Engine) -> None:
    for module in ("pip", "ensurepip", "setuptools"):
        assert f"No module named {module}" in engine.run("-m", module, entrypoint="python").output
    found = engine.run("-c", "command -v pip pip3 gcc cc make uv; id -u", entrypoint="sh")
    assert found.stdout.split() == [USER]


def test_it_has_labels_and_is_small(client: docker.DockerClient) -> None:
    image = client.images.get(IMAGE)
    assert image.attrs["Config"]["User"].split(":")[0] == USER
    labels = image.labels
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert re.fullmatch("[0-9a-f]{40}", labels["org.opencontainers.image.revision"])
    [base] = re.findall("^ARG BASE=(.+)$", (ROOT / "deploy/Dockerfile").read_text(), re.MULTILINE)
    on_top_bytes = image.attrs["Size"] - client.images.get(base).attrs["Size"]
    assert 0 < on_top_bytes <= ON_TOP_BYTES_MAX, on_top_bytes


def files(engine: Engine, image: str) -> set[str]:
    """Every file of an image: its mode, owner, SHA-256 (or where it leads) and path."""
    ran = engine.run("-c", LISTING, entrypoint="python", user="0", image=image)
    assert ran.exit_code == 0, ran.output
    return set(ran.stdout.splitlines())


def test_built_twice_it_has_the_same_files(engine: Engine) -> None:
    again = f"localhost/order-upsert-again:{os.getpid()}"
    command = ["make", "image", f"IMAGE={again}", "BUILD_OPTIONS=--no-cache"]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=SEVERAL_MINUTES_S)
    assert built.returncode == 0, built.stderr
    try:
        first, second = files(engine, IMAGE), files(engine, again)
    finally:
        engine.client.images.remove(again)
    assert len(first) > 1000
    assert first ^ second == set()
