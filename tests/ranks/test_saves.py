"""Checkpoints are written while a run goes on, and a disk that is full ends none: on a small tmpfs that is filled while two ranks train."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml

from dist_alexnet.checkpoints.files import best_checkpoint, find_checkpoint, list_checkpoints
from dist_alexnet.checkpoints.resume import check_whole
from dist_alexnet.checkpoints.tensor_file import HeldFile
from dist_alexnet.config import Config
from dist_alexnet.data.synth import synth
from dist_alexnet.launch.rank import connect_strategy
from dist_alexnet.parallel.world import World
from dist_alexnet.resolve import resolve
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.failure import Lost
from dist_alexnet.runs.metrics import MetricsFile
from dist_alexnet.runs.reader import Reader
from dist_alexnet.runs.records import CheckpointFailed, CheckpointSaved, RecordsLate, Stage, Steps
from dist_alexnet.testing.ranks import run_on_ranks
from dist_alexnet.training import keeper
from dist_alexnet.training.job import Job
from dist_alexnet.training.loop import Training

TINY = """
model: {classes: 4, image_size: 36, init: fan_in, widths: {conv1: 8, conv2: 12, conv3: 16, conv4: 16, conv5: 12, fc6: 20, fc7: 24}}
data: {store_size: 40, std: 64, synth: {classes: 4, train: 96, val: 22}}
train: {global_batch: 16, epochs: 2, log_every: 1, checkpoint_every: 3, keep_checkpoints: 0}
strategy: {name: channel_split}
launch: {name: local, device: cpu, workers: 2}
"""
SMALL = "600k"  # for a few checkpoints of 100 kB
FILES = ("model.safetensors", "optimizer/momentum.safetensors")


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", folder], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no small disk can be made here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


class Ballast:
    """Fills a disk."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "ballast"

    def fill(self) -> None:
        with self._file.open("ab", buffering=0) as stream:
            for size in (65536, 512, 1):
                try:
                    while stream.write(bytes(size)):
                        pass
                except OSError:
                    continue

    def throw(self) -> None:
        self._file.unlink()


def train(world: World, folder: Path, config: Config, events: dict[int, Callable[[], object]] | None = None) -> Training:
    """Train to the end; before a step the first rank does what `events` says."""
    directory = RunDirectory(folder)
    directory.create()
    strategy = connect_strategy(config, world)
    first = world.rank == 0
    training = Training(Job(config, directory, config_data(config)), strategy, MetricsFile(directory.metrics if first else None))
    asked = training._asked

    def step_begins() -> bool:
        if first and events and (event := events.pop(training.progress.step + 1, None)):
            event()
        return asked()

    training._asked = step_begins  # type: ignore[method-assign]
    training.run()
    return training


def config_data(config: Config) -> Path:
    assert config.data.path
    return Path(config.data.path)


def all_that(world: World, folder: Path, disk: Path, config: Config) -> dict[str, Any]:
    """Four runs in the same ranks."""
    told: dict[str, Any] = {}
    train(world, folder / "waits", replace(config, train=replace(config.train, checkpoint_async=False)))
    _held_up(world, folder / "held", config)
    ballast = Ballast(disk)
    often = replace(config, train=replace(config.train, checkpoint_every=1, keep_checkpoints=1, keep_best=True))
    train(world, disk / "full", often, {**dict.fromkeys(range(5, 9), ballast.fill), 9: ballast.throw})  # again: old ones give room
    with mock.patch.object(keeper, "PAUSES_S", (0.1, 0.1)):
        try:
            train(world, disk / "lost", often, {11: ballast.fill})
        except Lost as error:
            told["lost"] = str(error)
    return told


def _held_up(world: World, folder: Path, config: Config) -> None:
    """The file of the first save is closed only when step 6 begins: were steps to wait for it, they would do so forever."""
    gate, right = threading.Event(), HeldFile.close

    def close(self: HeldFile) -> str:
        assert world.rank or gate.wait(60)
        return right(self)

    with mock.patch.object(HeldFile, "close", close):
        train(world, folder, config, {6: gate.set})


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, small_disk: Path) -> tuple[Path, Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("runs")
    config = resolve(yaml.safe_load(TINY), [f"data.path={folder / 'set'}"])
    synth.write(folder / "set", config.data.synth)
    told = run_on_ranks(2, all_that, folder, small_disk, config)
    assert told[0] == told[1], "all ranks know how it ended"
    return folder, small_disk, told[0]


def records(run: Path, kind: type[Any]) -> list[Any]:
    return [record for record in RunDirectory(run).records() if isinstance(record, kind)]


def bits(checkpoint: Path) -> list[bytes]:
    return [(checkpoint / file).read_bytes() for file in FILES]


def test_steps_go_on_while_a_checkpoint_is_written_and_it_holds_what_was_there_when_it_began(runs: tuple[Path, Path, Any]) -> None:
    """The writer is held up from step 3 to step 6, while the weights change; the files are those of a run that waits, bit by bit."""
    folder, *_ = runs
    kinds = [(type(record).__name__, record.step) for record in RunDirectory(folder / "held").records() if hasattr(record, "step")]
    assert kinds.index(("CheckpointSaved", 3)) > kinds.index(("Steps", 5))
    both = [list_checkpoints(folder / name / "checkpoints") for name in ("waits", "held")]
    assert [checkpoint.name for checkpoint in both[0]] == [f"step-{step:08d}" for step in (3, 6, 9, 12)]
    for one, other in zip(*both, strict=True):
        check_whole(other)
        assert bits(one) == bits(other), other
    saved = records(folder / "held", CheckpointSaved)
    assert all(0 < each.blocked_seconds <= each.seconds for each in saved)
    assert all(each.bytes == sum(file.stat().st_size for file in both[1][0].rglob("*") if file.is_file()) for each in saved[:1])


def test_a_full_disk_stops_no_run(runs: tuple[Path, Path, Any]) -> None:
    """Full from step 5 to step 9: those checkpoints are announced as lost, no record is, and the end is that of an undisturbed run."""
    folder, disk, _ = runs
    full = disk / "full"
    failed = records(full, CheckpointFailed)
    assert failed
    assert {record.step for record in failed} <= {4, 5, 6, 7, 8}
    assert {record.reason for record in failed} == {"No space left on device"}
    assert [record.step for record in records(full, Steps)] == list(range(1, 13)), "each once, though there was no room"
    newest = find_checkpoint(full)
    assert bits(newest) == bits(folder / "waits" / "checkpoints" / "step-00000012")
    assert not list((full / "checkpoints").glob(".*")), "the room of what was not finished has come back"


def test_the_best_stays_besides_the_newest(runs: tuple[Path, Path, Any]) -> None:
    """One is kept, and the one of the lowest validation error."""
    there = list_checkpoints(runs[1] / "full" / "checkpoints")
    best = best_checkpoint(there)
    assert best
    assert [checkpoint.name for checkpoint in there] == sorted({best.name, "step-00000012"})


def test_what_is_lost_at_the_end_is_said_with_what_stays(runs: tuple[Path, Path, Any]) -> None:
    _, disk, told = runs
    newest = find_checkpoint(disk / "lost")
    check_whole(newest)
    what = "the checkpoint of step 12 could not be written (No space left on device)"
    assert told["lost"] == f"{what}, and {newest.name} is there; make room, then --resume auto"


def test_records_wait_for_room_and_come_once(small_disk: Path) -> None:
    """Three on a full disk: they come with the next one that has room, in their order, and after them a record that says so."""
    metrics, ballast = MetricsFile(small_disk / "metrics.jsonl"), Ballast(small_disk)
    metrics.write(Stage(doing="before"))
    ballast.fill()
    for number in range(20):  # the last page of the file has some room
        metrics.write(Stage(doing=f"{number}".ljust(1000)))
    ballast.throw()
    metrics.write(Stage(doing="after"))
    told = list(Reader(small_disk / "metrics.jsonl").new())
    assert [record.doing.strip() for record in told if isinstance(record, Stage)] == ["before", *map(str, range(20)), "after"]
    (late,) = (record for record in told if isinstance(record, RecordsLate))
    assert told[-1] == late
    assert 15 < late.records <= 20
    assert late.lost == 0
