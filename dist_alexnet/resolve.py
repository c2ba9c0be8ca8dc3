"""From a preset and what was typed to one configuration: defaults, then the preset, then `key=value`."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from importlib import resources
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dist_alexnet.config import Config, UsageError

QUICKSTART, PAPER = "quickstart", "alexnet_2012"


class _Loader(yaml.SafeLoader):
    """YAML without dates, for a folder may be called 2012-09-30, and without on, off, yes and no for true and false, as YAML 1.2.

    So `off` is a choice of data.augment.color. Settings that are true or false take these words all the same: OmegaConf knows them.
    """


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp") and not (tag.endswith(":bool") and first in "yYnNoO")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def preset_names() -> list[str]:
    """Presets that are installed."""
    return sorted(file.name.removesuffix(".yaml") for file in resources.files("configs").iterdir() if file.name.endswith(".yaml"))


def read_preset(name_or_path: str) -> dict[str, Any]:
    """The differences that a preset, or a YAML file of one's own, holds.

    Raises:
        UsageError: there is none of that name, or the file is not YAML of sections.
    """
    content = _parse(name_or_path, _read(name_or_path)) or {}
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
    layers = [base, *map(_tree, overrides)]
    for layer in layers:
        _check_shape("", layer, Config)
    try:
        below, typed = OmegaConf.create(_literal(base)), OmegaConf.merge({}, *map(_literal, layers[1:]))
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
        UsageError: an option that it has not, of the wrong type, or of a value that its `__post_init__` refuses.
    """
    try:
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), _literal(options)))
    except OmegaConfBaseException as error:
        known = ", ".join(field.name for field in fields(schema)) or "none"
        raise UsageError(f"strategy.options of {owner}: {str(error).splitlines()[0]} (its options: {known})") from None


def to_yaml(config: Config) -> str:
    """The whole configuration, as it goes to `config.yaml`; `-c` reads it back."""
    return yaml.safe_dump(asdict(config), sort_keys=False, allow_unicode=True)


def _read(name_or_path: str) -> str:
    presets = preset_names()
    if name_or_path in presets:
        return (resources.files("configs") / f"{name_or_path}.yaml").read_text()
    try:
        return Path(name_or_path).read_text(encoding="utf-8")
    except FileNotFoundError:
        close = difflib.get_close_matches(name_or_path, presets, n=1, cutoff=0.4)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise UsageError(f"no preset and no file {name_or_path!r}; {hint}presets: {', '.join(presets)}") from None
    except OSError as error:
        remedy = f"name a YAML file that you can read, or a preset: {', '.join(presets)}"
        raise UsageError(f"-c {name_or_path}: {error.strerror}; {remedy}") from None
    except UnicodeDecodeError:
        raise UsageError(f"-c {name_or_path}: it is no text; name a YAML file, as `config show` prints it") from None


def _parse(name: str, text: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"{name} is not YAML: {' '.join(str(error).split())}") from None


def _tree(override: str) -> dict[str, Any]:
    """`a.b=1` as {"a": {"b": 1}}."""
    key, given, text = override.partition("=")
    if not given or not all(key.split(".")):
        raise UsageError(f"{override!r} is no override; type key=value, as in train.lr=0.02")
    tree = _parse(override, text)
    for name in reversed(key.split(".")):
        tree = {name: tree}
    assert isinstance(tree, dict)
    return tree


def _check_shape(where: str, value: Any, kind: Any) -> None:
    """Refuse one value where a section belongs, and the reverse; OmegaConf checks names and types."""
    if is_dataclass(kind):
        inside = {field.name: field.type for field in fields(kind)}
        if not isinstance(value, Mapping):
            raise UsageError(f"{where}={_shown(value)}: it is a section; set what is in it, as in {where}.{next(iter(inside))}=...")
        for name, inner in value.items():
            if name in inside:
                _check_shape(f"{where}.{name}".lstrip("."), inner, inside[name])
    elif kind == dict[str, Any]:
        if not isinstance(value, Mapping):
            raise UsageError(f"{where}={_shown(value)}: it is a section; set what is in it, as in {where}.NAME=...")
    elif any(get_origin(each) is list for each in get_args(kind)):
        if value is not None and not isinstance(value, list):
            raise UsageError(f"{where}={_shown(value)}: must be a list, as in {where}=[1,2,3], or null")
    elif isinstance(value, Mapping | list):
        raise UsageError(f"{where}={_shown(value)}: must be one value; put text in quotes that is not meant as YAML")


def _shown(value: Any) -> str:
    text = "null" if value is None else " ".join(str(value).split())
    return text if len(text) < 40 else f"{text[:37]}..."


def _literal(value: Any) -> Any:
    """The same with `${` escaped: OmegaConf would look for a setting of that name, but a path may hold anything."""
    if isinstance(value, Mapping):
        return {name: _literal(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_literal(inner) for inner in value]
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if isinstance(value, str) else value
