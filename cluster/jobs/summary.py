"""The summary of a training, read from what its job has printed."""

import json
import re
from typing import Any

KEYS = {"status", "strategy", "world_size"}  # some that every summary has, and no other object that is printed


def find_summary(log: str) -> dict[str, Any] | None:
    """The last summary that `train --json` has printed there, whatever follows it; None: there is none."""
    decoder = json.JSONDecoder()
    for start in reversed([found.start() for found in re.finditer(r"^\{", log, flags=re.MULTILINE)]):
        try:
            value, _ = decoder.raw_decode(log, start)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and value.keys() >= KEYS:
            return value
    return None
