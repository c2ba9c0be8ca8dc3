"""Slowness that is planted in a rank, in its disk or in the exchanges: each shows in the phase where it belongs, on every rank.

Under every strategy that serves two ranks; a disk is slow under all of them alike, so it is under one. No time is asserted, but which phase
is the largest, and that the sentence of a comparison on what limits a strategy says so.
"""

import re
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from dist_alexnet import registry
from dist_alexnet.compare.of_runs import Run
from dist_alexnet.compare.sentence import limit
from dist_alexnet.config import Config, SynthConfig
from dist_alexnet.data.load.dali import DaliDecoder
from dist_alexnet.data.synth import synth
from dist_alexnet.launch.rank import connect_strategy
from dist_alexnet.model.network import LayerShare
from dist_alexnet.parallel.exchanges.exchange import Channel
from dist_alexnet.parallel.exchanges.gradients import DataParallel
from dist_alexnet.parallel.world import World
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.metrics import MetricsFile
from dist_alexnet.runs.records import Steps
from dist_alexnet.telemetry.clock import PHASES
from dist_alexnet.testing.conformance import TINY, configure, refusal
from dist_alexnet.testing.ranks import run_on_ranks
from dist_alexnet.training.account import started
from dist_alexnet.training.job import Job
from dist_alexnet.training.loop import Training

RANKS, SLOW = 2, 1  # the slow one
PLANTED_S = {"rank": 0.03, "disk": 0.4, "exchange": 0.02}  # per layer, batch, exchange: far above what each takes in this network
SENTENCES = {
    "rank": r"waits \d+% of its step for rank 1, which takes [\d,]+ ms longer for the forward pass",
    "disk": r"waits \d+% of its step for images on rank 1, and the others for it",
    "exchange": r"waits \d+% of its step for (?!rank|images).*(gradients|weights|input of|stages)",
}
PLACES = {  # where it is planted -> the largest phase of each rank
    "rank": ["rank_wait", "forward"],
    "disk": ["rank_wait", "data_wait"],
    "exchange": ["communication", "communication"],
}


def slowly(place: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def slow(*arguments: Any, **named: Any) -> Any:
        time.sleep(PLANTED_S[place])
        return function(*arguments, **named)

    return slow


def plant(place: str, world: World) -> list[AbstractContextManager[Any]]:
    """What makes it slow."""
    if place == "exchange":
        exposed = Channel.exposed

        @contextmanager
        def slow(channel: Channel, name: str) -> Iterator[None]:
            with exposed(channel, name):
                time.sleep(PLANTED_S[place])
                yield

        ddp = mock.patch.object(
            DataParallel, "charge_exposed", slowly(place, DataParallel.charge_exposed)
        )  # between its last message and the end
        return [mock.patch.object(Channel, "exposed", slow), ddp]
    if world.rank != SLOW:
        return []
    of, what = (LayerShare, "forward") if place == "rank" else (DaliDecoder, "_feed")
    return [mock.patch.object(of, what, slowly(place, getattr(of, what)))]


def configs() -> list[Config]:
    """Of every strategy that serves two ranks."""
    made = []
    for name in registry.names(registry.STRATEGIES):
        config = configure(name, model=replace(TINY, classes=4), batch=4)
        config = replace(config, data=replace(config.data, store_size=40), train=replace(config.train, epochs=1, max_steps=6, log_every=1))
        made += [] if refusal(config, RANKS) else [config]
    return made


def cases() -> list[tuple[Config, str]]:
    """What is trained, and where slowness is planted."""
    every = configs()
    return [(config, place) for config in every for place in PLACES if place != "disk" or config == every[0]]


def train_slowly(world: World, folder: Path) -> None:
    for config, place in cases():
        directory = RunDirectory(folder / f"{config.strategy.name} {place}")
        directory.create()
        strategy = connect_strategy(config, world)
        metrics = MetricsFile(directory.metrics if world.rank == 0 else None)
        training = Training(Job(config, directory, folder / "set"), strategy, metrics)
        metrics.write(started(training))
        patches = plant(place, world)
        for patch in patches:
            patch.__enter__()
        training.run()
        for patch in patches:
            patch.__exit__(None, None, None)


def largest(steps: Sequence[Mapping[str, float]]) -> str:
    """The phase that is the longest in most steps: others use the cores, too, and may hold up a rank anywhere."""
    medians = {phase: statistics.median(step[phase] for step in steps) for phase in PHASES}
    return max(medians, key=medians.__getitem__)


def test_slowness_shows_where_it_is(tmp_path: Path) -> None:
    synth.write(tmp_path / "set", SynthConfig(classes=4, train=40, val=8))
    run_on_ranks(RANKS, train_slowly, tmp_path)
    found, expected, sentences = {}, {}, {}
    for config, place in cases():
        run = f"{config.strategy.name} {place}"
        steps = [record for record in RunDirectory(tmp_path / run).records() if isinstance(record, Steps)][1:]  # without the first
        for step in steps:
            assert all(tuple(rank) == PHASES for rank in step.phase_seconds_by_rank)
            assert sum(step.phase_seconds.values()) == pytest.approx(step.step_seconds, rel=1e-9)
        found[run] = [largest([step.phase_seconds_by_rank[rank] for step in steps]) for rank in range(RANKS)]
        expected[run] = PLACES[place]
        sentences[run] = limit(Run(tmp_path / run, run).result())
    assert found == expected
    wrong = {run: said for run, said in sentences.items() if not re.search(SENTENCES[run.split()[1]], said)}
    assert not wrong
