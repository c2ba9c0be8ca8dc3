"""Whatever is typed or lies in a file of settings: one line says what is wrong, or it is read. Never a traceback, never a hang.

A part of the cases by itself, all with `-m slow` (docs/security.md). Hangs end by the time limit of a test.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import strategies as st

from dist_alexnet.config import Config
from dist_alexnet.resolve import resolve, to_yaml
from dist_alexnet.settings.presets import read_preset
from tests.fuzz.damage import AMOUNTS, ODD, TREES, changed, damaged, one_line, try_all

pytestmark = pytest.mark.parametrize("cases", AMOUNTS)


def keys(settings: Mapping[str, Any], prefix: str = "") -> list[str]:
    found = []
    for name, value in settings.items():
        found += [f"{prefix}{name}", *(keys(value, f"{prefix}{name}.") if isinstance(value, dict) else [])]
    return found


def test_configuration_files(cases: int, tmp_path: Path) -> None:
    whole, file = asdict(resolve(read_preset("quickstart"), [])), tmp_path / "mine.yaml"
    trees = (changed(whole) | TREES).map(lambda tree: yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass"))

    def meets(content: bytes) -> None:
        file.write_bytes(content)
        with one_line():
            config = resolve(read_preset(str(file)), [])
            file.write_text(to_yaml(config))
            assert resolve(read_preset(str(file)), []) == config

    try_all(cases, trees | damaged(to_yaml(Config()).encode()) | damaged(b"a: &a [*b, {x: !!python/name:os.system y}]\n? [z]\n: 1"), meets)


def test_overrides(cases: int) -> None:
    names = st.sampled_from(keys(asdict(Config()))) | st.lists(st.sampled_from(["train", "lr", "", "data", "[0]", "a"])).map(".".join)
    values = st.sampled_from([*ODD, "[1,2,3]", "{a: 1}", "[", "{", "&a [*a]", "0x1F", "1e3", "yes", "1_000"]) | st.text(max_size=12)
    words = st.builds("{}={}".format, names, values) | st.text(max_size=12)

    def meets(typed: list[str]) -> None:
        with one_line():
            resolve(read_preset("quickstart"), typed)

    try_all(cases, st.lists(words, min_size=1, max_size=3), meets)
