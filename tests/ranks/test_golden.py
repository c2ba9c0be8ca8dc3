"""The losses of one small run, written down: whoever changes what is computed, or the order of the images, sees it here first.

In float64, for which the order of sums hardly counts: float32 differs from one processor to the next by the last bit at the third step, and
by a thousandth after forty. Change the numbers only together with a reason in the CHANGELOG.
"""

from pathlib import Path

import pytest
import yaml

from dist_alexnet import registry
from dist_alexnet.data.synth import synth
from dist_alexnet.parallel.world import World
from dist_alexnet.resolve import resolve
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.metrics import MetricsFile
from dist_alexnet.runs.records import Steps, Validated
from dist_alexnet.testing.ranks import run_on_ranks
from dist_alexnet.training.job import Job
from dist_alexnet.training.loop import Training

RUN = """
model: {classes: 4, image_size: 36, init: fan_in, widths: {conv1: 8, conv2: 12, conv3: 16, conv4: 16, conv5: 12, fc6: 20, fc7: 24}}
data: {store_size: 40, std: 64, synth: {classes: 4, train: 96, val: 22}}
train: {global_batch: 16, epochs: 2, log_every: 1, checkpoint_every: 0, dtype: float64, schedule: {name: cosine, warmup_epochs: 0.5}}
launch: {name: local, device: cpu, workers: 2}
strategy: {name: channel_split}
"""
LOSSES = [
    1.9427328554803034, 2.5846586972323555, 2.130941038720696, 2.08436678694593, 2.2630265876469235, 2.46835439853359,
    2.2021167292182815, 2.5611851302793536, 2.5909471819166034, 1.999841654057172, 1.6378915556273537, 2.004323497645093,
]  # fmt: skip
VALIDATIONS = [1.4123516990476042, 1.4593496310186784]


def train(world: World, folder: Path) -> None:
    config = resolve(yaml.safe_load(RUN), [])
    directory = RunDirectory(folder / "run")
    directory.create()
    strategy = registry.load(registry.STRATEGIES, config.strategy.name)(config, world)
    strategy.connect()
    Training(Job(config, directory, folder / "set"), strategy, MetricsFile(directory.metrics if world.rank == 0 else None)).run()


def test_losses_are_those_that_were_written_down(tmp_path: Path) -> None:
    synth.write(tmp_path / "set", resolve(yaml.safe_load(RUN), []).data.synth)
    run_on_ranks(2, train, tmp_path)
    records = list(RunDirectory(tmp_path / "run").records())
    assert [record.loss for record in records if isinstance(record, Steps)] == pytest.approx(LOSSES, rel=1e-9)
    assert [record.loss for record in records if isinstance(record, Validated)] == pytest.approx(VALIDATIONS, rel=1e-9)
