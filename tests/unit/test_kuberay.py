"""The manifests of cluster/kuberay: every field is one that KubeRay's schema has, and their command is one that the program takes."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.jobs.request import STOP_WAIT
from dist_alexnet.cli.elsewhere import read_train

FOLDER = Path(__file__).parents[2] / "cluster" / "kuberay"

# Fields that the manifests set, and their types, as the CRDs ray.io/v1 of KubeRay have them (ray-operator/config/crd/bases at commit
# feeaf72, 2026-08-19). A tuple: one of these words. "quantity" is an integer or a string. {"*": ...}: any name.
QUANTITIES = {"*": "quantity"}
WORDS = {"*": "string"}
POD = {
    "metadata": {"annotations": WORDS},
    "spec": {
        "containers": [
            {
                "name": "string",
                "image": "string",
                "ports": [{"name": "string", "containerPort": "integer"}],
                "resources": {"requests": QUANTITIES, "limits": QUANTITIES},
                "volumeMounts": [{"name": "string", "mountPath": "string"}],
            }
        ],
        "volumes": [
            {
                "name": "string",
                "persistentVolumeClaim": {"claimName": "string"},
                "emptyDir": {"medium": "string", "sizeLimit": "quantity"},
            }
        ],
    },
}
RAY_CLUSTER = {
    "rayVersion": "string",
    "authOptions": {"mode": ("disabled", "token"), "secretName": "string"},
    "headGroupSpec": {"rayStartParams": WORDS, "template": POD},
    "workerGroupSpecs": [
        {
            "groupName": "string",
            "replicas": "integer",
            "minReplicas": "integer",
            "maxReplicas": "integer",
            "rayStartParams": WORDS,
            "template": POD,
        }
    ],
}
RAY_JOB = {
    "entrypoint": "string",
    "runtimeEnvYAML": "string",
    "backoffLimit": "integer",
    "shutdownAfterJobFinishes": "boolean",
    "ttlSecondsAfterFinished": "integer",
    "activeDeadlineSeconds": "integer",
    "rayClusterSpec": RAY_CLUSTER,
}
SPECS = {"RayCluster": RAY_CLUSTER, "RayJob": RAY_JOB}
TYPES = {"string": str, "integer": int, "boolean": bool, "quantity": int | str}


def faults(value: Any, known: Any, path: str) -> Iterator[str]:
    """What of a manifest the schema would refuse."""
    if isinstance(known, dict) and isinstance(value, dict):
        for name, inner in value.items():
            if name not in known and "*" not in known:
                yield f"{path}.{name} is no field"
            else:
                yield from faults(inner, known.get(name, known.get("*")), f"{path}.{name}")
    elif isinstance(known, list) and isinstance(value, list):
        for number, inner in enumerate(value):
            yield from faults(inner, known[0], f"{path}[{number}]")
    elif isinstance(known, tuple):
        if value not in known:
            yield f"{path} is {value!r}, and must be one of {known}"
    elif isinstance(known, dict | list) or not isinstance(value, TYPES[known]) or (isinstance(value, bool) and known != "boolean"):
        yield f"{path} is {value!r}, and must be {known}"


def manifest(name: str) -> dict[str, Any]:
    loaded = yaml.safe_load((FOLDER / name).read_text())
    assert loaded["apiVersion"] == "ray.io/v1"
    return loaded


@pytest.mark.parametrize("name", [path.name for path in FOLDER.glob("*.yaml")])
def test_every_field_is_one_of_the_schema(name: str) -> None:
    loaded = manifest(name)
    assert list(faults(loaded["spec"], SPECS[loaded["kind"]], loaded["kind"])) == []


def test_the_check_sees_what_is_wrong() -> None:
    wrong = {
        **manifest("raycluster.yaml")["spec"],
        "authOption": {},
        "rayVersion": 2.6,
        "workerGroupSpecs": {},
        "authOptions": {"mode": "on"},
    }
    assert len(list(faults(wrong, RAY_CLUSTER, ""))) == 4


def test_the_job_trains_on_the_cluster_that_stands_in_both_manifests() -> None:
    job = manifest("rayjob.yaml")["spec"]
    cluster = job["rayClusterSpec"]
    assert cluster == manifest("raycluster.yaml")["spec"]
    program, command, *words = shlex.split(job["entrypoint"])
    assert (program, command) == ("dist-alexnet", "train")
    typed = read_train(words, None)
    assert typed.checked
    assert typed.as_json, "else its log has no summary"
    workers = cluster["workerGroupSpecs"][0]
    mounted = [mount["mountPath"] for mount in workers["template"]["spec"]["containers"][0]["volumeMounts"]]
    assert str(typed.output_dir.parent) in mounted
    gpus = int(workers["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"])
    assert words[words.index("--gpus") + 1] == str(gpus * workers["replicas"])
    assert STOP_WAIT in yaml.safe_load(job["runtimeEnvYAML"])["env_vars"]


def test_pods_mount_the_volumes_that_they_have() -> None:
    cluster = manifest("raycluster.yaml")["spec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
        assert "/dev/shm" in {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
