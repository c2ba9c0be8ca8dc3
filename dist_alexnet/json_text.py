"""JSON as every parser reads it. It has no word for infinity, nor for what is no number; Python writes both unless it is told not to."""

import json
import math
from typing import Any


def to_json(value: Any, indent: int | None = None, sort_keys: bool = False) -> str:
    """The text for people and other programs: a number that is not finite is null."""
    try:
        return json.dumps(value, indent=indent, sort_keys=sort_keys, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), indent=indent, sort_keys=sort_keys, allow_nan=False)


def to_exact_json(value: Any) -> str:
    """The text for another process of this program alone, which reads back the same numbers, those that are not finite included."""
    return json.dumps(value)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
