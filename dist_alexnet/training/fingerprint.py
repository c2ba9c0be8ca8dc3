"""Do all ranks mean the same run? Asked before the first exchange: a difference would only show as a hang or as wrong numbers."""

import hashlib
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from dist_alexnet.config import Config, UsageError
from dist_alexnet.resolve import to_yaml
from dist_alexnet.telemetry.environment import versions

PACKAGES = ("dist_alexnet", "strategies")


def fingerprint(config: Config) -> dict[str, str]:
    """What must be alike on all ranks: the configuration, the code of this program, the versions of the libraries."""
    return {"configuration": _short(to_yaml(config).encode()), "code of dist-alexnet": _code(), **versions()}


def check_fingerprints(nodes: Sequence[str], ranks: Sequence[Mapping[str, str]]) -> None:
    """Refuse ranks that differ (UsageError).

    Args:
        nodes: of each rank.
        ranks: fingerprints, by rank.
    """
    for rank, prints in enumerate(ranks):
        for what, value in prints.items():
            if value != (expected := ranks[0].get(what)):
                raise UsageError(
                    f"rank {rank} on {nodes[rank]} has another {what} than rank 0 on {nodes[0]} ({value}, not {expected}); "
                    "install the same dist-alexnet and libraries on every node"
                )


def _code() -> str:
    digest = hashlib.sha256()
    for package in PACKAGES:
        spec = find_spec(package)
        for place in spec.submodule_search_locations or () if spec else ():
            for file in sorted(Path(place).rglob("*.py")):
                digest.update(f"{package}/{file.relative_to(place)}".encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]
