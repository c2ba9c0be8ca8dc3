"""On what a run ran, without secrets: versions and hardware, never the environment variables."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import dist_alexnet
from dist_alexnet.machine.cores import available_cores
from dist_alexnet.redact import words_without_secrets

PACKAGES = ("torch", "nvidia-dali-cuda130", "ray", "numpy", "numba", "pyarrow", "omegaconf", "safetensors")


def versions() -> dict[str, str]:
    """Versions of this program and of the libraries that a result depends on."""
    found = {"dist-alexnet": dist_alexnet.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def describe_machine() -> dict[str, Any]:
    """Hardware of this machine, for env.json."""
    import torch  # here, for it takes seconds, and wrong use is answered without

    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "platform": platform.platform(),
        "processor": describe_processor(),
        "cores": os.cpu_count(),
        "cores_available": available_cores(),  # to this process
        "cuda_devices": devices,
        "command": words_without_secrets(sys.argv),
    }


def describe_processor() -> str:
    """The name of the CPU; empty: nobody says it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as stream:
            return next(line.partition(":")[2].strip() for line in stream if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
