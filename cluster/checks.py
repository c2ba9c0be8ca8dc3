"""What a doctor asks of Ray."""

import os
from collections.abc import Iterator
from importlib.metadata import version

from cluster.launcher import RayLauncher
from dist_alexnet.config import LaunchConfig
from dist_alexnet.doctor.checks import Finding


def ray() -> Iterator[Finding]:
    """Its version, and whether the cluster that RAY_ADDRESS names answers."""
    yield Finding(f"ray {version('ray')}")
    if address := os.environ.get("RAY_ADDRESS"):
        RayLauncher(LaunchConfig(workers=1, device="cpu", address=address)).validate()  # a UsageError says what is wrong
        yield Finding(f"the cluster at {address} answers, and has room for a rank")
