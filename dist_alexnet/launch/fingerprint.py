"""Do all ranks mean the same run? Asked before the first exchange: a difference would only show as a hang or as wrong numbers."""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dist_alexnet import registry
from dist_alexnet.config import Config, UsageError
from dist_alexnet.resolve import to_yaml
from dist_alexnet.telemetry.environment import versions

PACKAGES = ("dist_alexnet", "strategies")


def fingerprint(config: Config) -> dict[str, str]:
    """What must be alike on all ranks: the configuration, the code of this program and of the strategy, the versions of the libraries."""
    plug_in = sys.modules[registry.load(registry.STRATEGIES, config.strategy.name).__module__.partition(".")[0]]
    codes = {f"code of {package}": _code([registry.ROOT / package]) for package in PACKAGES}
    codes |= {f"code of {plug_in.__name__}": _code([Path(place) for place in getattr(plug_in, "__path__", [str(plug_in.__file__)])])}
    return {"configuration": _short(to_yaml(config).encode()), **codes, **versions()}


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


def _code(places: Sequence[Path]) -> str:
    """Of all Python files in the folders of a package, or of the file of a module."""
    digest = hashlib.sha256()
    files = [(file, file.relative_to(place if place.is_dir() else place.parent)) for place in places for file in _python(place)]
    for file, name in files:
        digest.update(str(name).encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _python(place: Path) -> list[Path]:
    return sorted(place.rglob("*.py")) if place.is_dir() else [place]


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]
