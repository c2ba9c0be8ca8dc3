"""Whether a record holds what the types of its fields say: a file may come from anybody, and a word for a number must not stop a page."""

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

from dist_alexnet.runs.records import KINDS, Record


def well_formed(record: Record) -> bool:
    """All its values are of the types of its fields."""
    return all(_fits(getattr(record, name), kind) for name, kind in _types(record.kind))


@cache
def _types(kind: str) -> tuple[tuple[str, Any], ...]:
    return tuple((each.name, each.type) for each in fields(KINDS[kind]))


def _fits(value: object, kind: Any) -> bool:
    origin = get_origin(kind)
    if origin is UnionType:
        return any(_fits(value, each) for each in get_args(kind))
    if origin is Mapping:
        return isinstance(value, dict) and all(_fits(each, get_args(kind)[1]) for each in value.values())
    if origin is list:
        return isinstance(value, list) and all(_fits(each, get_args(kind)[0]) for each in value)
    if kind is Any:
        return True
    if kind is NoneType:
        return value is None
    return isinstance(value, (int, float) if kind is float else kind)
