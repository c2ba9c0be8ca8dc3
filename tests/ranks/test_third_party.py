"""The strategy that docs/adding_a_strategy.md shows, installed as somebody's package, trains as one process does."""

from pathlib import Path

import pytest

from dist_alexnet.config import Config, ModelConfig, StrategyConfig, TrainConfig, Widths
from dist_alexnet.parallel.world import World
from dist_alexnet.testing.ranks import run_on_ranks
from dist_alexnet.testing.steps import relative_difference, train_steps

DOCS = Path(__file__).parents[2] / "docs" / "adding_a_strategy.md"
NARROW = Widths(conv1=8, conv2=12, conv3=16, conv4=16, conv5=12, fc6=20, fc7=24)


def configure(strategy: str) -> Config:
    model = ModelConfig(image_size=64, classes=7, widths=NARROW, init="fan_in")
    return Config(model=model, train=TrainConfig(global_batch=7, dtype="float64"), strategy=StrategyConfig(strategy))


def test_the_documented_strategy_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = DOCS.read_text()
    (tmp_path / "my_package.py").write_text(text.split("```python\n")[1].split("```")[0])
    info = tmp_path / "my_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my_package\nVersion: 1.0\n")
    entry_points = text.split("```toml\n")[1].split("```")[0].replace('entry-points."dist_alexnet.strategies"', "dist_alexnet.strategies")
    (info / "entry_points.txt").write_text(entry_points.replace('"', "").replace("[project.", "["))
    monkeypatch.syspath_prepend(tmp_path)
    expected = train_steps(World(), configure("single"), 3)
    for result in run_on_ranks(4, train_steps, configure("pairs"), 3):
        assert result.counted_bytes == result.predicted_bytes
        assert result.losses == pytest.approx(expected.losses, rel=1e-9)
        for name, tensor in result.tensors.items():
            assert relative_difference(tensor, expected.tensors[name]) < 1e-9, name
