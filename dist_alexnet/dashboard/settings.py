"""The settings of a run as flat names, and in what runs differ."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from dist_alexnet.runs.browse.folder import RunsFolder


def settings(folder: RunsFolder, run: Path) -> Mapping[str, str]:
    """By dotted name; empty where there is no configuration, or none that can be read."""
    return _parsed(folder.text(run / "config.yaml"))


def differences(runs: Sequence[Mapping[str, str]]) -> list[str]:
    """Names of the settings that are not the same in all of some runs."""
    names = dict.fromkeys(name for each in runs for name in each)
    return [name for name in names if len({each.get(name) for each in runs}) > 1]


@lru_cache(maxsize=256)
def _parsed(text: str) -> Mapping[str, str]:
    loader: Any = yaml.CBaseLoader if hasattr(yaml, "CBaseLoader") else yaml.BaseLoader
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, loader)):
            return {}  # no run writes these, and a few lines of them may stand for more settings than memory holds
        content = yaml.load(text, loader)
        return dict(_flat(content)) if isinstance(content, dict) else {}
    except (yaml.YAMLError, RecursionError, ValueError):
        return {}


def _flat(content: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _flat(value, f"{name}.")
        else:
            yield name, ", ".join(map(str, value)) if isinstance(value, list) else str(value)
