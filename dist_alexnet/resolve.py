"""From a preset and what was typed to one configuration: defaults, then the preset, then `key=value`."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dist_alexnet.config import Config, UsageError

QUICKSTART, PAPER = "quickstart", "alexnet_2012"


def preset_names() -> list[str]:
    """Presets that are installed."""
    return sorted(file.name.removesuffix(".yaml") for file in resources.files("configs").iterdir() if file.name.endswith(".yaml"))


def read_preset(name_or_path: str) -> dict[str, Any]:
    """The differences that a preset, or a YAML file of one's own, holds.

    Raises:
        UsageError: there is none of that name, or the file is not YAML of sections.
    """
    if name_or_path in preset_names():
        text = (resources.files("configs") / f"{name_or_path}.yaml").read_text()
    else:
        try:
            text = Path(name_or_path).read_text()
        except OSError:
            close = difflib.get_close_matches(name_or_path, preset_names(), n=1, cutoff=0.4)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise UsageError(f"no preset and no file {name_or_path!r}; {hint}presets: {', '.join(preset_names())}") from None
    try:
        content = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise UsageError(f"{name_or_path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UsageError(f"{name_or_path} must hold sections (model:, data:, train:, ...), not a {type(content).__name__}")
    return content


def resolve(base: Mapping[str, Any], overrides: Sequence[str]) -> Config:
    """One frozen configuration.

    Args:
        base: a preset, or the configuration of a run that is resumed.
        overrides: `key=value`, dotted; the value is YAML.

    Raises:
        UsageError: unknown key (says the closest), wrong type, or a value that makes no sense.
    """
    for override in overrides:
        if "=" not in override:
            raise UsageError(f"{override!r} is no override; type key=value, as in train.lr=0.02")
    try:
        typed, below = OmegaConf.from_dotlist(list(overrides)), OmegaConf.create(dict(base))
        if (chosen := OmegaConf.select(typed, "strategy.name")) and chosen != OmegaConf.select(below, "strategy.name"):
            OmegaConf.update(below, "strategy", {"options": {}}, merge=False)  # those of another strategy mean nothing to this one
        config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Config), below, typed))
    except OmegaConfBaseException as error:
        where = f"{error.full_key}: " if error.full_key else ""
        raise UsageError(f"{where}{str(error).splitlines()[0]}") from None
    assert isinstance(config, Config)
    return config


def parse_options(owner: str, schema: type, options: Mapping[str, Any]) -> Any:
    """The options of a strategy as its own dataclass.

    Raises:
        UsageError: an option that it has not, or of the wrong type.
    """
    try:
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), dict(options)))
    except OmegaConfBaseException as error:
        known = ", ".join(field.name for field in fields(schema)) or "none"
        raise UsageError(f"strategy.options of {owner}: {str(error).splitlines()[0]} (its options: {known})") from None


def to_yaml(config: Config) -> str:
    """The whole configuration, as it goes to `config.yaml`; `-c` reads it back."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))
