"""What ranks tell each other arrives as it was said, and nobody unpickles it."""

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from torch.distributed import distributed_c10d

from dist_alexnet import registry
from dist_alexnet.config import Config, SynthConfig, UsageError
from dist_alexnet.data.synth import synth
from dist_alexnet.launch.agreement import Agreement
from dist_alexnet.launch.rank import connect_strategy
from dist_alexnet.parallel.exchanges.traffic import Traffic
from dist_alexnet.parallel.world import World
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.metrics import MetricsFile
from dist_alexnet.testing.conformance import TINY, configure, refusal
from dist_alexnet.testing.ranks import run_on_ranks
from dist_alexnet.training.account import summary
from dist_alexnet.training.job import Job
from dist_alexnet.training.loop import Training

SAID = [[], ["a\udcff.jpg", "\u00e4"], {"loss": -math.inf, "bytes": 2**60}]  # texts of other lengths, and a name that is not UTF-8


def say(world: World) -> list[Any]:
    return Agreement(world, 60).gather(SAID[world.rank])


@pytest.mark.parametrize("ranks", [1, 3])
def test_each_rank_hears_what_each_has_said(ranks: int) -> None:
    assert run_on_ranks(ranks, say) == [SAID[:ranks]] * ranks


def test_a_third_of_a_byte_arrives_as_a_third_of_a_byte() -> None:
    traffic = Traffic()
    traffic.add("gradients", "backward", Fraction(1, 3))
    traffic.add("conv3", "forward", 2**60 + 1)
    assert Traffic.from_exact(traffic.exact()) == traffic


def train_with_every_strategy(world: World, folder: Path) -> list[str]:
    """Steps, validation, checkpoints and a resume; returns the strategies that serve two ranks."""
    served = []
    for name in registry.names(registry.STRATEGIES):
        config = configure(name, model=replace(TINY, classes=4))
        config = replace(config, data=replace(config.data, store_size=40), train=replace(config.train, epochs=2))
        try:
            go_on(config, world, RunDirectory(folder / name))
        except UsageError:
            continue
        served.append(name)
    return served


def go_on(config: Config, world: World, directory: RunDirectory) -> None:
    job, metrics = Job(config, directory, directory.path.parent / "set"), MetricsFile(None)
    strategy = connect_strategy(config, world)
    directory.create()
    with mock.patch.object(distributed_c10d, "_tensor_to_object", side_effect=AssertionError("it unpickles what another rank has sent")):
        Training(job, strategy, metrics).run()
        training = Training(replace(job, resume=next(directory.checkpoints.iterdir())), strategy, metrics)
        training.bad_images.share()
        summary(training, "completed", 1.0)


def test_no_strategy_unpickles_what_another_rank_has_sent(tmp_path: Path) -> None:
    synth.write(tmp_path / "set", SynthConfig(classes=4, train=22, val=11))
    served = run_on_ranks(2, train_with_every_strategy, tmp_path)
    assert served == [[name for name in registry.names(registry.STRATEGIES) if not refusal(configure(name), 2)]] * 2
