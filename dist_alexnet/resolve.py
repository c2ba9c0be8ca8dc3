"""From a preset and what was typed to one configuration: defaults, then the preset, then `key=value`."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from functools import reduce
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dist_alexnet import registry
from dist_alexnet.config import Config, UsageError
from dist_alexnet.redact import tree_without_secrets
from dist_alexnet.settings.idle import check_idle
from dist_alexnet.settings.typed import typed
from dist_alexnet.settings.yaml_text import Plain


class _Dumper(yaml.SafeDumper):
    """Text that has line breaks or other controls is written with escapes: PyYAML reads some of them (U+0085) back as spaces."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """As a plain word, or in quotes."""
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if data.isprintable() else '"')


_Dumper.add_representer(str, _Dumper.represent_str)


def resolve(base: Mapping[str, Any], overrides: Sequence[str]) -> Config:
    """One frozen configuration.

    Args:
        base: a preset, or the configuration of a run that is resumed.
        overrides: `key=value`, dotted; the value is read by the type of its setting. Text is taken as it stands, quotes included.

    Raises:
        UsageError: unknown key (says the closest), wrong type, a value that makes no sense, or a setting that was typed and does nothing.
    """
    layers = [typed("", layer, Config) for layer in (base, *map(_tree, overrides))]
    nothing: dict[str, Any] = {}
    below, above = layers[0], reduce(_merged, layers[1:], nothing)
    strategy = above.get("strategy", {}).get("name")
    if strategy and strategy != below.get("strategy", {}).get("name"):
        below = {**below, "strategy": {}}  # options of another strategy mean nothing to this one
    merged = _merged(below, above)
    options = merged.get("strategy", {}).pop("options", {})
    config = _build(Config, merged, lambda error: f"{f'{error.full_key}: ' if error.full_key else ''}{str(error).splitlines()[0]}")
    assert isinstance(config, Config)
    registry.find(registry.LAUNCHERS, config.launch.name)
    point = registry.find(registry.STRATEGIES, config.strategy.name)
    if options:  # only the strategy knows what they are, and to ask it takes seconds: it imports torch
        parsed = asdict(parse_options(point.name, registry.load(registry.STRATEGIES, point.name).Options, options))
        config.strategy.options.update({name: parsed[name] for name in options})
    check_idle(config, set(_keys("", above)))
    return config


def loads_torch(overrides: Sequence[str]) -> bool:
    """Whether `resolve` will take the seconds in which a strategy imports torch, to ask it for its options."""
    return any(override.startswith("strategy.options.") for override in overrides)


def parse_options(owner: str, schema: type, options: Mapping[str, Any], section: str = "strategy.options") -> Any:
    """The options of a plug-in as its own dataclass, which lies with what reads it.

    Args:
        owner: name of the plug-in.
        schema: the dataclass.
        options: as they were typed.
        section: of the configuration, where they are.

    Raises:
        UsageError: an option that it has not, of the wrong type, or of a value that its `__post_init__` refuses.
    """
    known = ", ".join(field.name for field in fields(schema)) or "none"
    content = typed(section, options, schema)
    return _build(schema, content, lambda error: f"{section} of {owner}: {str(error).splitlines()[0]} (its options: {known})")


def to_yaml(config: Config, ascii_only: bool = False, secrets: bool = True) -> str:
    """The whole configuration; `-c` reads it back.

    Args:
        config: resolved.
        ascii_only: other letters as escapes.
        secrets: with them; False for what goes to `config.yaml`.
    """
    content = asdict(config) if secrets else tree_without_secrets(asdict(config))
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=not ascii_only)


def _tree(override: str) -> dict[str, Any]:
    """`a.b=1` as {"a": {"b": "1"}}."""
    key, given, text = override.partition("=")
    if not given or not all(key.split(".")):
        raise UsageError(f"{override!r} is no override; type key=value, as in train.lr=0.02")
    if not text:
        raise UsageError(f"{key}= is empty; type a value, or null for none; was it a variable of the shell that is not set?")
    tree: Any = Plain(text)
    for name in reversed(key.split(".")):
        tree = {name: tree}
    assert isinstance(tree, dict)
    return tree


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Settings of both; where both have one, that of `above`."""
    sections = {name for name, value in above.items() if isinstance(value, dict) and isinstance(below.get(name), dict)}
    return {**below, **above, **{name: _merged(below[name], above[name]) for name in sections}}


def _build(schema: type, content: Mapping[str, Any], explain: Callable[[OmegaConfBaseException], str]) -> Any:
    """The dataclass with its checks; OmegaConf finds names that are not there, and says the closest."""
    try:
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), _native(content)))
    except OmegaConfBaseException as error:
        raise UsageError(" ".join(explain(error).split())) from None  # a name may hold line breaks


def _keys(section: str, settings: Mapping[str, Any]) -> Iterator[str]:
    """Dotted names of all settings."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _keys(f"{section}{name}.", value)
        else:
            yield f"{section}{name}"


def _native(value: Any) -> Any:
    """Without `Plain`, and with `${` escaped: OmegaConf would look for a setting of that name, but a path may hold anything."""
    if isinstance(value, Mapping):
        return {str(name): _native(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_native(inner) for inner in value]
    return str(re.sub(r"(\\*)\$\{", r"\1\1\\${", value)) if isinstance(value, str) else value
