"""YAML read without guesses: words stay as they are written until the type of their setting is known (`typed.py`).

PyYAML takes 2012_09_30 for a number, 010 for 8 and 1:30 for 90, as YAML 1.1 has it. Here nothing but null is known beforehand, as in
YAML 1.2; a key that comes twice is refused, and so is what would grow without end.
"""

from typing import Any

import yaml

from dist_alexnet.config import UsageError

MAX_VALUES = 10_000  # in one text, aliases written out: ten aliases of ten aliases of ten aliases ... are a text of a few lines
NULLS = {"", "~", "null", "Null", "NULL"}
TEXT, SEQUENCE, MAPPING = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))


class Plain(str):
    """A word without quotes, or what was typed after `=`: what it means depends on the setting that it is for."""


class _Loader(yaml.SafeLoader):
    """YAML in which every word is text, unless it has a tag."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML's own declaration


def read_yaml(name: str, text: str) -> Any:
    """Mappings, lists, text in quotes as `str`, other words as `Plain`, and None.

    Args:
        name: what error messages call the text.
        text: one YAML document.

    Raises:
        UsageError: it is not YAML, has a key twice, a tag, or more values than any configuration.
    """
    try:
        node = yaml.compose(text, _Loader)
        return _Reader(name).value(node) if node else None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{name} is not YAML: {' '.join(str(error).split())}") from None


class _Reader:
    def __init__(self, name: str) -> None:
        self._name, self._values = name, 0

    def value(self, node: yaml.Node) -> Any:
        """What a node holds."""
        self._values += 1
        if self._values > MAX_VALUES:
            raise UsageError(f"{self._name} holds more than {MAX_VALUES:,} values, aliases written out; no configuration does")
        if node.tag not in (TEXT, SEQUENCE, MAPPING):
            raise UsageError(f"{self._where(node)}: {node.tag.split(':')[-1]!r} is a tag, which no setting needs; leave it out")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item) for item in node.value]
        if isinstance(node, yaml.ScalarNode) and node.style:  # in quotes, or a block
            return str(node.value)
        return None if node.value in NULLS else Plain(node.value)

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise UsageError(f"{self._where(key)}: a name is needed before the colon")
            if key.value in content:
                raise UsageError(f"{self._where(key)}: {key.value!r} is there a second time; write one of them")
            content[str(key.value)] = self.value(value)
        return content

    def _where(self, node: yaml.Node) -> str:
        return f"{self._name}, line {node.start_mark.line + 1}"
