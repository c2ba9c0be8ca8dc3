"""One configuration out of defaults, preset and `key=value`."""

import ast
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
import yaml

from dist_alexnet.config import Config, UsageError
from dist_alexnet.resolve import preset_names, read_preset, resolve, to_yaml

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_loads(name: str) -> None:
    assert resolve(read_preset(name), []).train.global_batch > 0


def test_the_paper_preset_is_the_paper() -> None:
    config = resolve(read_preset("alexnet_2012"), [])
    train = config.train
    assert (train.global_batch, train.lr, train.momentum, train.weight_decay, train.epochs) == (128, 0.01, 0.9, 0.0005, 90)
    assert (config.data.store_size, config.model.image_size, config.data.augment.color) == (256, 224, "paper")


def test_overrides_come_last() -> None:
    config = resolve({"train": {"lr": 0.5, "seed": 1}}, ["train.lr=0.25"])
    assert (config.train.lr, config.train.seed, config.train.momentum) == (0.25, 1, 0.9)


def test_another_strategy_does_not_inherit_options() -> None:
    base = {"strategy": {"name": "channel_split", "options": {"fc8": "first"}}}
    assert resolve(base, []).strategy.options == {"fc8": "first"}
    assert resolve(base, ["strategy.name=channel_split"]).strategy.options == {"fc8": "first"}
    assert resolve(base, ["strategy.name=ddp"]).strategy.options == {}
    assert resolve(base, ["strategy.name=ddp", "strategy.options.bucket_mib=2"]).strategy.options == {"bucket_mib": 2}


@pytest.mark.parametrize("name", preset_names())
def test_what_is_written_reads_back(name: str) -> None:
    config = resolve(read_preset(name), ["strategy.options.fc8=first", "data.mean=[1,2,3]"])
    assert resolve(yaml.safe_load(to_yaml(config)), []) == config


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trian.lr=1", "trian: Key 'trian' not in 'Config'. Did you mean: 'train'"),
        ("train.lrr=1", "train.lrr: .* Did you mean: 'lr'"),
        ("train.lr=fast", "train.lr: Value 'fast'"),
        ("model.lrn=papier", r"model.lrn: Invalid value 'papier', expected one of \['paper', 'code', 'none'\]"),
        ("train.lr=-1", "train.lr=-1.0: must be positive"),
        ("train.lr", "'train.lr' is no override; type key=value"),
        ("launch.workers=0", "needs at least 1"),
        ("train.lr=nan", "train.lr=nan: must be positive"),
        ("train.seed=4294967296", r"train.seed=4294967296: must be below 2\*\*32"),
    ],
)
def test_a_typo_is_one_line_with_the_remedy(override: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        resolve({}, [override])
    assert "\n" not in str(error.value)


def test_an_unknown_preset_names_the_closest() -> None:
    with pytest.raises(UsageError, match="no preset and no file 'quikstart'; did you mean 'quickstart'"):
        read_preset("quikstart")


@pytest.mark.parametrize(("text", "message"), [("train: [", "is not YAML"), ("- a", "must hold sections")])
def test_a_file_that_is_no_configuration(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_preset(str(file))


def _leaves(schema: type, name: str = "") -> Iterator[str]:
    for field in fields(schema):
        yield from _leaves(field.type, field.name) if is_dataclass(field.type) else [field.name]


def test_every_setting_is_read_somewhere() -> None:
    """An option that does nothing is worse than none."""
    files = [*ROOT.glob("dist_alexnet/**/*.py"), *ROOT.glob("cluster/**/*.py"), *ROOT.glob("strategies/*.py")]
    trees = [ast.parse(file.read_text()) for file in files if file.name != "config.py"]
    read = {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    by_name = {"conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"}  # read together, through asdict
    assert set(_leaves(Config)) <= read | by_name
