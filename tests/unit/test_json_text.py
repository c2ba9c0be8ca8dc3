"""What others read is JSON to the letter; only processes of this program tell each other more."""

import ast
import json
import math
from pathlib import Path
from typing import Any

import pytest

from dist_alexnet.json_text import to_exact_json, to_json

ROOT = Path(__file__).parents[2]
ODD = {"loss": math.nan, "range": (-math.inf, 1.5), "deeper": [{"worst": math.inf}], "count": 3, "name": "NaN"}


def strictly(text: str) -> Any:
    """Read it as other languages do."""

    def refuse(word: str) -> float:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("indent", [None, 2])
def test_what_is_not_finite_is_null(indent: int | None) -> None:
    expected = {"loss": None, "range": [None, 1.5], "deeper": [{"worst": None}], "count": 3, "name": "NaN"}
    assert strictly(to_json(ODD, indent)) == expected


def test_processes_of_this_program_read_back_what_was_written() -> None:
    again = json.loads(to_exact_json(ODD))
    assert math.isnan(again["loss"])
    assert (again["range"], again["deeper"]) == ([-math.inf, 1.5], [{"worst": math.inf}])


def test_nobody_else_writes_json() -> None:
    """`json.dumps` writes NaN where it is not told otherwise."""
    writers = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for package in ("dist_alexnet", "strategies", "cluster")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("json.dump", "json.dumps", "json.JSONEncoder")
    ]
    assert {writer.partition(":")[0] for writer in writers} == {"dist_alexnet/json_text.py"}, writers
