"""Whether a record holds what the types of its fields say: a file may come from anybody, and a word for a number must not stop a page."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

from dist_alexnet.runs.records import KINDS, Record

Check = Callable[[Any], bool]
TOO_LARGE = 2**63  # for an integer: nothing is counted so far, and arithmetic with floats fails


def well_formed(record: Record) -> bool:
    """All its values are of the types of its fields."""
    return all(check(getattr(record, name)) for name, check in _checks(record.kind))


@cache
def _checks(kind: str) -> tuple[tuple[str, Check], ...]:
    return tuple((each.name, _check(each.type)) for each in fields(KINDS[kind]))


def _check(kind: Any) -> Check:
    """What says whether a value is of a type."""
    origin = get_origin(kind)
    if origin is UnionType:
        either = [_check(each) for each in get_args(kind)]
        return lambda value: any(check(value) for check in either)
    if origin is Mapping:
        of_value = _check(get_args(kind)[1])
        return lambda value: isinstance(value, dict) and all(map(of_value, value.values()))
    if origin is list:
        of_item = _check(get_args(kind)[0])
        return lambda value: isinstance(value, list) and all(map(of_item, value))
    if kind is Any:
        return lambda value: True
    if kind in (int, float):
        numbers = (int, float) if kind is float else int
        return lambda value: isinstance(value, numbers) and not (isinstance(value, int) and abs(value) >= TOO_LARGE)
    plain = NoneType if kind is None else kind
    return lambda value: isinstance(value, plain)
