"""What was written for a setting, read by the type of that setting: text stays text, integers are decimal, and nothing is guessed."""

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from dist_alexnet.config import PATH, UsageError
from dist_alexnet.settings.yaml_text import Plain, read_yaml

NUMBER = re.compile(r"[+-]?(\d+(_\d+)*(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
NO_NUMBER = re.compile(r"[+-]?\.?(inf|infinity|nan)", re.ASCII | re.IGNORECASE)  # which checks of the settings refuse by name
WORDS = dict.fromkeys(("true", "yes", "on", "y", "1"), True) | dict.fromkeys(("false", "no", "off", "n", "0"), False)
MISSING = "???"  # what OmegaConf takes for a value that is still to come, and would leave as None
DIGITS = 18  # of an integer: more than 64 bits hold is a slip


def typed(where: str, value: Any, kind: Any) -> Any:
    """A value as its setting takes it.

    Args:
        where: dotted name of the setting, for error messages; "" for the whole configuration.
        value: from YAML (`read_yaml`), typed (`Plain`), or read from JSON.
        kind: type of the setting. What an `Any` holds stays as it is written, for somebody who knows more.

    Raises:
        UsageError: it fits no reading; says which are there.
    """
    if get_origin(kind) in (Union, UnionType):
        return _one_of(where, value, get_args(kind))
    if kind is Any:
        return value
    if is_dataclass(kind) or get_origin(kind) is dict:
        return _section(where, value, kind)
    if get_origin(kind) is list:
        items, (inner,) = _structure(where, value), get_args(kind)
        if not isinstance(items, list):
            raise UsageError(f"{where}={shown(value)}: must be a list, as in {where}=[1,2,3]")
        return [typed(f"{where}[{number}]", item, inner) for number, item in enumerate(items)]
    if isinstance(value, Mapping | list):
        raise UsageError(f"{where}={shown(value)}: must be one value; in a file, put text in quotes that is not meant as YAML")
    if get_origin(kind) is Literal:
        return _choice(where, value, get_args(kind))
    if kind not in READINGS:
        return str(value) if isinstance(value, Plain) else value  # of a plug-in: OmegaConf judges it
    need, read = READINGS[kind]
    if (found := read(value)) is None:
        raise UsageError(f"{where}={shown(value)}: must be {need}")
    return found


def shown(value: Any) -> str:
    """Of a value, as much as an error message has room for, on one line."""
    text = "null" if value is None else " ".join(str(value).split())
    return text if len(text) < 40 else f"{text[:37]}..."


def _one_of(where: str, value: Any, kinds: tuple[Any, ...]) -> Any:
    if NoneType in kinds and (value is None or (isinstance(value, Plain) and value == "null")):
        return None
    *others, last = (kind for kind in kinds if kind is not NoneType)
    for kind in others:
        try:
            return typed(where, value, kind)
        except UsageError:
            continue
    try:
        return typed(where, value, last)
    except UsageError as error:
        raise UsageError(f"{error}{', or null' if NoneType in kinds else ''}") from None


def _section(where: str, value: Any, kind: Any) -> dict[str, Any]:
    """Of a section or a dictionary; OmegaConf will say what is wrong with a name that is not there."""
    schema = kind if is_dataclass(kind) else None
    first = fields(schema)[0].name if schema and fields(schema) else "NAME"
    if not isinstance(content := _structure(where, value), Mapping):
        raise UsageError(f"{where}={shown(value)}: it is a section; set what is in it, as in {where}.{first}=...")
    kinds = get_type_hints(schema) if isinstance(schema, type) else {}
    paths = {field.name for field in fields(schema) if field.metadata == PATH} if schema else set()
    settings = {}
    for name, inner in content.items():
        found = typed(f"{where}.{name}".lstrip("."), inner, kinds.get(name, Any) if schema else get_args(kind)[1])
        settings[str(name)] = os.path.expanduser(found) if name in paths and found is not None else found
    return settings


def _structure(where: str, value: Any) -> Any:
    return read_yaml(f"{where}={shown(value)}", value) if isinstance(value, Plain) else value


def _choice(where: str, value: Any, choices: tuple[Any, ...]) -> Any:
    by_text = {str(choice): choice for choice in choices}
    if str(value) not in by_text:
        *others, last = by_text
        raise UsageError(f"{where}={shown(value)}: must be {', '.join(others)}{' or ' if others else ''}{last}")
    return by_text[str(value)]


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, str) and value not in ("", MISSING) and "\0" not in value else None


def _bool(value: Any) -> bool | None:
    return value if isinstance(value, bool) else WORDS.get(value.strip().lower()) if isinstance(value, Plain) else None


def _int(value: Any) -> int | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value) if math.isfinite(value) and value == int(value) else None
    if not isinstance(value, Plain) or not NUMBER.fullmatch(value.strip()):
        return None
    number = Decimal(value.strip().replace("_", ""))
    return int(number) if number.adjusted() < DIGITS and number == number.to_integral_value() else None


def _float(value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    word = value.strip() if isinstance(value, Plain) else ""
    if NUMBER.fullmatch(word):
        return float(word.replace("_", ""))
    return float(word.replace(".", "")) if NO_NUMBER.fullmatch(word) else None


READINGS: dict[Any, tuple[str, Callable[[Any], Any]]] = {
    str: (f"text, neither empty nor {MISSING}", _text),
    bool: ("true or false", _bool),
    int: (f"an integer in decimal, as in 1000 or 1e3, of at most {DIGITS} digits", _int),
    float: ("a number in decimal, as in 0.01 or 1e-2", _float),
}
