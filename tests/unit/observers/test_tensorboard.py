"""Event files, read back as TensorBoard reads them."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dist_alexnet.config import Config
from dist_alexnet.observers import filters
from dist_alexnet.observers.filters import picture
from dist_alexnet.observers.tensorboard import TensorBoard
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.reader import Reader
from dist_alexnet.runs.records import Record
from tests.unit.observers.records import FIRST, saved, started, steps, validated, write


def watch(directory: RunDirectory, *records: Record) -> EventAccumulator:
    """Feed a new observer; what the folder then holds."""
    observer = TensorBoard(Config(), directory, TensorBoard.Options())
    observer.begin(Reader.from_now_on(directory.metrics).before().new())
    for record in records:
        observer.see(record)
    observer.close()
    events = EventAccumulator(str(directory.path / "tb"), size_guidance={"scalars": 0, "images": 0})
    return events.Reload()


def numbers(events: EventAccumulator, name: str) -> list[tuple[int, float]]:
    return [(event.step, pytest.approx(event.value)) for event in events.Scalars(name)]


@pytest.fixture(name="directory")
def fixture_directory(tmp_path: Path) -> RunDirectory:
    """A run with the checkpoint that FIRST speaks of."""
    directory = RunDirectory(tmp_path / "run")
    directory.create()
    folder = directory.checkpoints / saved(4).path
    folder.mkdir(parents=True)
    save_file({"conv1.weight": torch.randn(8, 3, 11, 11)}, folder / "model.safetensors")
    return directory


def test_scalars_by_step_under_the_time_of_the_record(directory: RunDirectory) -> None:
    write(directory.path, FIRST)
    records = list(directory.records())
    directory.metrics.unlink()
    events = watch(directory, *records)
    assert numbers(events, "loss/training") == [(2, 1.5), (4, 1.5)]
    assert numbers(events, "error/top5") == [(4, 0.25)]
    assert numbers(events, "bytes_per_step/gradients") == [(2, 64), (4, 64)]
    assert numbers(events, "memory_bytes/rank_1") == [(2, 2000), (4, 2000)]
    assert events.Scalars("phase/forward")[0].wall_time == records[3].time


def test_filters_are_drawn_from_the_checkpoint_that_follows_a_validation(directory: RunDirectory) -> None:
    events = watch(directory, started(), validated(4), saved(4), steps(6), saved(6))
    assert [image.step for image in events.Images("conv1")] == [4]


def test_a_checkpoint_that_is_gone_costs_its_picture_only(directory: RunDirectory) -> None:
    events = watch(directory, started(), validated(8), saved(8), steps(10))
    assert events.Tags()["images"] == []
    assert numbers(events, "seconds/checkpoint") == [(8, 0.5)]
    assert numbers(events, "loss/training") == [(10, 1.5)]


def test_steps_that_are_done_again_are_there_once(directory: RunDirectory) -> None:
    watch(directory, started(), steps(2, loss=9.0), steps(4, loss=9.0), steps(6, loss=9.0))
    events = watch(directory, started(4, attempt=1), steps(6, loss=1.0), steps(8, loss=None))
    found = events.Scalars("loss/training")
    assert [event.step for event in found] == [2, 4, 6, 8]
    assert [event.value for event in found[:3]] == [9.0, 9.0, 1.0]
    assert math.isnan(found[3].value)


def test_one_that_comes_late_writes_what_was_before_it(directory: RunDirectory) -> None:
    write(directory.path, FIRST)
    events = watch(directory, started(4, attempt=1), steps(6))
    assert [step for step, _ in numbers(events, "loss/training")] == [2, 4, 6]
    assert len(watch(directory, started(6, attempt=2)).Scalars("loss/training")) == 3, "once"


def test_the_picture_has_each_filter_from_black_to_white() -> None:
    weights = np.zeros((5, 3, 2, 2), np.float32)
    weights[:, 0, 0, 0] = 7.0
    drawn = picture(weights)
    side = (2 + filters.GAP) * filters.SCALE
    assert drawn.shape == (3, 2 * side, 4 * side)
    for row, column in ((0, 0), (0, 3), (1, 0)):
        assert drawn[:, row * side, column * side].tolist() == [1, 0, 0]
    assert not drawn[:, side:, side:].any()
