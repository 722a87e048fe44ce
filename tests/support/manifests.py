"""What is wrong with an object of Kubernetes: by its schema, and by the pod security level `restricted`."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

KUBERNETES = "1.30", "1.37"
"""The oldest version that has all fields, and the newest one that is known here."""

_TEXT, _COUNT = {"type": "string"}, {"type": "integer", "minimum": 0}
_SCALED_OBJECT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["scaleTargetRef", "triggers"],
    "properties": {
        "scaleTargetRef": {"type": "object", "required": ["name"], "properties": {"name": _TEXT}},
        "minReplicaCount": _COUNT,
        "maxReplicaCount": _COUNT,
        "pollingInterval": _COUNT,
        "advanced": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"horizontalPodAutoscalerConfig": {"type": "object"}},
        },
        "triggers": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["type", "metadata"],
                "properties": {
                    "type": {"const": "kafka"},
                    "metadata": {
                        "type": "object",
                        "required": ["bootstrapServers", "consumerGroup", "topic", "lagThreshold"],
                        "additionalProperties": _TEXT,
                    },
                    "authenticationRef": {"type": "object", "required": ["name"], "properties": {"name": _TEXT}},
                },
            },
        },
    },
}
"""Of `spec`. KEDA's definition is not one of Kubernetes'; these are the fields that are used here."""


_VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir"),
    *("ephemeral", "persistentVolumeClaim", "projected", "secret"),
}


def objects_of(text: str) -> list[dict[str, Any]]:
    return [found for found in yaml.safe_load_all(text) if found is not None]


def load(file: Path) -> list[dict[str, Any]]:
    return objects_of(file.read_text())


def faults(found: dict[str, Any]) -> list[str]:
    """What is wrong with one object, a text for each fault."""
    return [*_of_schema(found), *_of_pods(found)]


def _of_schema(found: dict[str, Any]) -> Iterator[str]:
    try:
        if found["kind"] == "ScaledObject":
            jsonschema.validate(found["spec"], _SCALED_OBJECT)
            scaler = {"scaleTargetRef": {"kind": "Deployment", "name": "none"}, "maxReplicas": 1}
            scaler |= found["spec"].get("advanced", {}).get("horizontalPodAutoscalerConfig", {})
            found = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "spec": scaler}
        for version in KUBERNETES:
            _validate(found, version)
    except jsonschema.ValidationError as error:
        yield f"{'/'.join(map(str, error.absolute_path))}: {error.message}"


def _validate(found: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(found, version, strict=True)


def pods(found: dict[str, Any]) -> dict[str, Any] | None:
    """The spec of the pods that an object makes."""
    template = found.get("spec", {}).get("template")
    return None if template is None else template["spec"]


def _of_pods(found: dict[str, Any]) -> Iterator[str]:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    if (spec := pods(found)) is None:
        return
    context = spec.get("securityContext", {})
    if context.get("runAsNonRoot") is not True:
        yield "runAsNonRoot is not true"
    if context.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "seccompProfile is not RuntimeDefault"
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            yield f"{name} is set"
    for volume in spec.get("volumes", ()):
        if volume.keys() - {"name"} - _VOLUMES:
            yield f"the volume {volume['name']} is of a kind that is not allowed"
    for container in [*spec.get("initContainers", ()), *spec["containers"]]:
        yield from _of_container(container)


def _of_container(container: dict[str, Any]) -> Iterator[str]:
    context = container.get("securityContext", {})
    if context.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if context.get("capabilities") != {"drop": ["ALL"]}:
        yield "capabilities are not all dropped"
    if context.get("readOnlyRootFilesystem") is not True:  # no part of `restricted`, but of ours
        yield "the root is not read-only"
    if context.get("privileged") or context.get("runAsUser") == 0:
        yield "it is privileged or root"
    if any("hostPort" in port for port in container.get("ports", ())):
        yield "it has a port of the host"


@cache
def rendered(file: Path) -> tuple[dict[str, Any], ...]:
    return tuple(load(file))
