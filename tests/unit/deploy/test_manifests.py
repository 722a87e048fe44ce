"""The manifests of deploy/kubernetes and the chart of deploy/helm are valid, and say what the code says."""

import copy
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts.topics import RESULT_PARTITIONS, UPSERT_PARTITIONS, Topics
from ingress.server import CLOSE_S, DRAIN_S
from ingress.settings import IngressSettings
from support.kept import ROOT
from support.manifests import KUBERNETES as KUBERNETES_VERSIONS
from support.manifests import faults, objects_of, pods, rendered

KUBERNETES = ROOT / "deploy/kubernetes"
OVERLAYS = "production", "small"
CHART = ROOT / "deploy/helm"
Object = dict[str, Any]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def overlay(name: str) -> tuple[Object, ...]:
    return rendered(KUBERNETES / f"rendered/{name}.yaml")


def one(kind: str, name: str, objects: tuple[Object, ...] = ()) -> Object:
    [found] = [
        item
        for item in objects or overlay("production")
        if item["kind"] == kind and item["metadata"]["name"] == f"order-upsert{name}"
    ]
    return found


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_object_is_valid_and_restricted(name: str) -> None:
    objects = overlay(name)
    assert {"Deployment", "Job", "NetworkPolicy", "PodDisruptionBudget"} <= {item["kind"] for item in objects}
    assert {item["metadata"]["name"]: told for item in objects if (told := faults(item))} == {}
    [namespace] = [item for item in objects if item["kind"] == "Namespace"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def unknown_field(item: Object) -> None:
    item["spec"]["replica"] = 2


def wrong_type(item: Object) -> None:
    item["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] = [1]


def missing_field(item: Object) -> None:
    del item["spec"]["selector"]


def privileges(item: Object) -> None:
    item["spec"]["template"]["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True


def capability(item: Object) -> None:
    item["spec"]["template"]["spec"]["containers"][0]["securityContext"]["capabilities"]["add"] = ["SYS_ADMIN"]


def root(item: Object) -> None:
    item["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"] = False


def folder_of_the_host(item: Object) -> None:
    item["spec"]["template"]["spec"]["volumes"].append({"name": "etc", "hostPath": {"path": "/etc"}})


@pytest.mark.parametrize(
    "spoil", [unknown_field, wrong_type, missing_field, privileges, capability, root, folder_of_the_host]
)
def test_a_wrong_manifest_is_told(spoil: Callable[[Object], None]) -> None:
    spoiled = copy.deepcopy(one("Deployment", "-ingress"))
    assert faults(spoiled) == []
    spoil(spoiled)
    assert len(faults(spoiled)) == 1


def test_a_wrong_scaled_object_is_told() -> None:
    spoiled = copy.deepcopy(one("ScaledObject", "-consumer"))
    spoiled["spec"]["triggers"][0]["metadata"]["lagThreshold"] = 20000
    assert "20000 is not of type 'string'" in faults(spoiled)[0]
    spoiled = copy.deepcopy(one("ScaledObject", "-consumer"))
    spoiled["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]["policies"][0]["value"] = "1"
    assert "'1' is not of type 'integer'" in faults(spoiled)[0]


def test_a_pod_of_the_ingress_has_time_to_answer_what_is_in_flight() -> None:
    spec = pods(one("Deployment", "-ingress"))
    assert spec is not None
    [container] = spec["containers"]
    request_s = IngressSettings.model_fields["request_timeout_s"].default
    before_s = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert spec["terminationGracePeriodSeconds"] > before_s + request_s + DRAIN_S + CLOSE_S
    assert container["args"] == ["ingress", "--workers", "1"]


def test_scaling_ends_at_the_partitions_and_goes_by_what_is_committed() -> None:
    topics = Topics("orders")
    spec = one("ScaledObject", "-consumer")["spec"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (1, UPSERT_PARTITIONS)
    [trigger] = spec["triggers"]
    assert (trigger["metadata"]["topic"], trigger["metadata"]["consumerGroup"]) == (
        topics.upserts,
        topics.consumer_group,
    )
    settings = one("ConfigMap", "")["data"]
    assert trigger["metadata"]["bootstrapServers"] == settings["ORDERS_KAFKA_BOOTSTRAP"]
    assert one("HorizontalPodAutoscaler", "-ingress")["spec"]["maxReplicas"] == RESULT_PARTITIONS
    for name in ("-ingress", "-consumer"):
        assert "replicas" not in one("Deployment", name)["spec"]  # else each apply undoes the scaling
    assert one("Deployment", "-consumer")["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 1


def test_no_secret_is_in_a_variable_and_each_role_has_its_own() -> None:
    folder = one("ConfigMap", "")["data"]["ORDERS_SECRETS_DIR"]
    secrets = set()
    for item in overlay("production"):
        if (spec := pods(item)) is not None:
            [container] = spec["containers"]
            assert not any("valueFrom" in variable for variable in container.get("env", ()))
            assert [mount["mountPath"] for mount in container["volumeMounts"]] == [folder]
            secrets.add(spec["volumes"][0]["secret"]["secretName"])
    assert secrets == {f"order-upsert-{role}" for role in ("setup", "ingress", "consumer")}


def test_every_place_names_the_same_version() -> None:
    for name in OVERLAYS:
        images = {spec["containers"][0]["image"] for item in overlay(name) if (spec := pods(item))}
        assert {image.rpartition(":")[2] for image in images} == {VERSION}
        one("Job", f"-setup-{VERSION.replace('.', '-')}", overlay(name))
    chart = (CHART / "Chart.yaml").read_text()
    assert re.findall(r"^(?:version|appVersion): (.+)$", chart, re.MULTILINE) == [VERSION, VERSION]
    assert f"tag: {VERSION}\n" in (CHART / "values.yaml").read_text()
    assert f"ARG VERSION={VERSION}\n" in (ROOT / "deploy/Dockerfile").read_text()


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_rendered_files_are_what_the_overlays_give(name: str) -> None:
    if (kubectl := shutil.which("kubectl")) is None:
        pytest.skip("kubectl is not here, which renders the overlays")
    text = output([kubectl, "kustomize", str(KUBERNETES / "overlays" / name)])
    assert sorted(map(str, objects_of(text))) == sorted(map(str, overlay(name))), "run: make manifests"


def test_the_chart_gives_what_the_production_overlay_gives() -> None:
    helm = Path(sys.executable).parent / "helm"
    if not helm.exists():
        pytest.skip("helm is not here, which renders the chart: make helm")
    command = [str(helm), "template", "order-upsert", str(CHART), "--namespace", "order-upsert"]
    command += ["--kube-version", KUBERNETES_VERSIONS[-1]]  # else that of helm's build
    objects = objects_of(output([*command, "--set", "createNamespace=true"]))
    by_name = {(item["kind"], item["metadata"]["name"]): item for item in objects}
    assert by_name == {(item["kind"], item["metadata"]["name"]): item for item in overlay("production")}
    unscaled = objects_of(output([*command, "--set", "ingress.autoscaling.enabled=false,consumer.keda.enabled=false"]))
    assert [item["spec"]["replicas"] for item in unscaled if item["kind"] == "Deployment"] == [2, 2]
    assert [told for item in unscaled if (told := faults(item))] == []


def output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
