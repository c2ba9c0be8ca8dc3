"""On what a run ran, without secrets: versions and hardware, never the environment variables."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import dist_alexnet

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
        "processor": _processor(),
        "cores": os.cpu_count(),
        "cuda_devices": devices,
        "command": sys.argv,
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as stream:
            return next(line.partition(":")[2].strip() for line in stream if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
