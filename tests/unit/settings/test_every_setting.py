"""An option that does nothing is worse than none."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from dist_alexnet.config import Config

ROOT = Path(__file__).parents[3]
SOURCES = [path.read_text() for folder in ("dist_alexnet", "strategies", "cluster") for path in ROOT.glob(f"{folder}/**/*.py")]
SCHEMA = (ROOT / "dist_alexnet" / "config.py").read_text()

Setting = tuple[str, str]  # section or class, and field


def settings(schema: type, section: str = "") -> Iterator[tuple[str, str, str]]:
    """Section, class and name of every field that is no section."""
    for field in fields(schema):
        if is_dataclass(field.type):
            yield from settings(field.type, field.name)
        else:
            yield section, schema.__name__, field.name


def reads(source: str) -> Iterator[Setting]:
    """What a file reads as `section.field`, and as `config.field` where it names the class that this may be."""
    tree = ast.parse(source)
    classes = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value).rpartition(".")[2].lstrip("_")
            yield owner, node.attr
            if owner == "config":
                yield from ((name, node.attr) for name in classes)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "asdict":  # a section that is read as a whole
            yield ast.unparse(node.args[0]).rpartition(".")[2], "*"


def unread(sources: Iterable[str]) -> set[str]:
    """Settings that no file but the schema reads."""
    read = {setting for source in sources if source != SCHEMA for setting in reads(source)}
    return {
        f"{section}.{name}"
        for section, schema, name in settings(Config)
        if not {(section, name), (schema, name), (section, "*")} & read - {("model", "*")}  # of a model is compared, not read
    }


def test_every_setting_is_read_somewhere() -> None:
    assert unread(SOURCES) == set()


@pytest.mark.parametrize(
    ("reading", "setting"),
    [
        (".prefetch", "data.prefetch"),  # by the loader, and by what is said of memory
        ("train.keep_checkpoints", "train.keep_checkpoints"),
        ("config.color_std", "augment.color_std"),
        ("config.std", "data.std"),
        ("config.address", "launch.address"),
        ("train.seed", "train.seed"),  # data.synth.seed is another
    ],
)
def test_a_setting_that_is_no_longer_read_is_found(reading: str, setting: str) -> None:
    assert setting in unread(source.replace(reading, "nothing") for source in SOURCES)
