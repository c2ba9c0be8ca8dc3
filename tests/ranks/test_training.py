"""The training loop and its checkpoints, on one rank in a process of its own."""

import itertools
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml
from safetensors.torch import load_file

from dist_alexnet import registry
from dist_alexnet.batch import Batch
from dist_alexnet.checkpoints import publish
from dist_alexnet.checkpoints.files import list_checkpoints
from dist_alexnet.checkpoints.resume import check_resume
from dist_alexnet.checkpoints.state import read_state
from dist_alexnet.config import Config
from dist_alexnet.data.sets.open import open_split
from dist_alexnet.data.synth import synth
from dist_alexnet.evaluation.tally import Validation
from dist_alexnet.parallel.world import World
from dist_alexnet.resolve import resolve
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.failure import NonFiniteLoss
from dist_alexnet.runs.metrics import MetricsFile
from dist_alexnet.runs.records import Validated
from dist_alexnet.testing.ranks import run_on_ranks
from dist_alexnet.training import loop
from dist_alexnet.training.job import Job
from dist_alexnet.training.loop import Training

TINY = """
model: {classes: 4, image_size: 36, init: fan_in, widths: {conv1: 8, conv2: 12, conv3: 16, conv4: 16, conv5: 12, fc6: 20, fc7: 24}}
data: {store_size: 40, std: 64, synth: {classes: 4, train: 96, val: 22}}
train: {global_batch: 16, epochs: 2, log_every: 1, checkpoint_every: 1, keep_checkpoints: 0, validate_every: 0.5}
launch: {name: local, device: cpu, workers: 1}
"""


def train(job: Job, stop_at: int = 0, stop_in: int = 0) -> str:
    """Train in this process, and ask for a stop before a step, or when a validation has got through its first batch."""
    strategy = registry.load(registry.STRATEGIES, "single")(job.config, World())
    strategy.connect()
    training = Training(job, strategy, MetricsFile(job.directory.metrics, 0))
    asked = training._asked
    training._asked = lambda: asked() or training.progress.step + 1 == stop_at  # type: ignore[method-assign]
    if stop_in:
        _stop_inside(training, stop_in)
    return training.run()


def _stop_inside(training: Training, validation: int) -> None:
    right, numbers = training.val_loader.eval_batches, itertools.count(1)

    def eval_batches(*arguments: Any) -> Iterator[Batch]:
        number = next(numbers)
        for batch in right(*arguments):
            yield batch
            if number == validation:
                training.job.directory.stop_request.touch()

    training.val_loader.eval_batches = eval_batches  # type: ignore[method-assign, assignment]


def new_job(folder: Path, config: Config, name: str) -> Job:
    directory = RunDirectory(folder / name)
    directory.create()
    return Job(config, directory, folder / "set")


def stop_where_validation_is_due(world: World, folder: Path) -> dict[str, Any]:
    """What an undisturbed run and one that was stopped say at the end."""
    # Without progress, plateau divides the rate at each validation but the first: one that comes a step late shows in the weights.
    config = resolve(yaml.safe_load(TINY), ["train.schedule.patience=1", "train.schedule.factor=2"])
    synth.write(folder / "set", config.data.synth)
    alike = Validation(top1_error=0.5, top5_error=0.5, loss=1.0, images=22)
    with mock.patch.object(loop, "evaluate", return_value=mock.Mock(validation=lambda: alike)):
        whole, stopped = new_job(folder, config, "whole"), new_job(folder, config, "stopped")
        assert train(whole) == "completed"
        assert train(stopped, stop_at=6) == "stopped"
        newest = list_checkpoints(stopped.directory.checkpoints)[-1]
        assert newest.name == "step-00000006"
        assert train(replace(stopped, resume=newest)) == "completed"
    return {job.directory.path.name: [r.step for r in job.directory.records() if isinstance(r, Validated)] for job in (whole, stopped)}


def test_stopped_where_validation_is_due_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    (validated,) = run_on_ranks(1, stop_where_validation_is_due, tmp_path)
    assert validated["stopped"] == validated["whole"] == [3, 6, 9, 12]
    ends = [tmp_path / name / "checkpoints" / "step-00000012" for name in ("whole", "stopped")]
    weights = [load_file(next(end.glob("*.safetensors"))) for end in ends]
    assert all(weights[0][name].equal(weights[1][name]) for name in weights[0])
    schedules = [json.loads((end / "state.json").read_text())["schedule"] for end in ends]
    assert schedules[0] == schedules[1]


def end_with_a_loss_that_is_not_finite(world: World, folder: Path) -> str:
    """One step that throws the weights into infinity, and what whoever goes on with the run is told."""
    config = resolve(yaml.safe_load(TINY), ["train.lr=1e30", "train.max_steps=1"])
    synth.write(folder / "set", config.data.synth)
    job = new_job(folder, config, "run")
    train(job)
    longer = replace(config, train=replace(config.train, max_steps=2))
    try:
        train(replace(job, config=longer, resume=job.directory.checkpoints / "step-00000001"))
    except NonFiniteLoss as error:
        return str(error)
    return ""


def test_a_validation_loss_that_is_not_finite_is_null_in_what_others_read(tmp_path: Path) -> None:
    (told,) = run_on_ranks(1, end_with_a_loss_that_is_not_finite, tmp_path)
    assert "the loss is nan at step 1" in told
    run = tmp_path / "run"
    texts = [*(run / "metrics.jsonl").read_text().splitlines(), (run / "checkpoints" / "step-00000001" / "state.json").read_text()]
    *records, state = (json.loads(text, parse_constant=pytest.fail) for text in texts)
    assert [record["loss"] for record in records if record["kind"] == "val"] == [None]
    assert state["validation"]["loss"] is None


def stop_inside_validations(world: World, folder: Path, precision: str) -> dict[str, list[dict[str, Any]]]:
    """The validations of an undisturbed run, and of one that was stopped in its second, in that again, and in its last."""
    config = resolve(
        yaml.safe_load(TINY),
        ["train.schedule.patience=1", "train.schedule.factor=2", "train.checkpoint_every=0", f"train.precision={precision}"],
    )
    synth.write(folder / "set", config.data.synth)
    whole, stopped = new_job(folder, config, "whole"), new_job(folder, config, "stopped")
    assert train(whole) == "completed"
    for stop_in, step in ((2, 6), (1, 6), (3, 12)):
        assert train(stopped, stop_in=stop_in) == "stopped"
        stopped.directory.stop_request.unlink()
        stopped = replace(stopped, resume=list_checkpoints(stopped.directory.checkpoints)[-1])
        assert stopped.resume
        assert stopped.resume.name == f"step-{step:08d}"
    check_resume(config, stopped.resume, open_split(folder / "set", "train"))
    assert train(stopped) == "completed"
    numbers = ("step", "top1_error", "top5_error", "loss", "images")
    return {
        job.directory.path.name: [{key: getattr(r, key) for key in numbers} for r in job.directory.records() if isinstance(r, Validated)]
        for job in (whole, stopped)
    }


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_stopped_inside_a_validation_it_makes_up_for_it_and_ends_with_the_same_bits(precision: str, tmp_path: Path) -> None:
    (validations,) = run_on_ranks(1, stop_inside_validations, tmp_path, precision)
    assert [validation["step"] for validation in validations["whole"]] == [3, 6, 9, 12]
    assert validations["stopped"] == validations["whole"]
    ends = [tmp_path / name / "checkpoints" / "step-00000012" for name in ("whole", "stopped")]
    for file in ("model.safetensors", "optimizer/momentum.safetensors"):
        assert (ends[0] / file).read_bytes() == (ends[1] / file).read_bytes()
    assert read_state(ends[0]) == read_state(ends[1]), "and nobody resumes it once more"


def save_over_what_is_there(world: World, folder: Path) -> dict[str, list[str]]:
    """Names in a folder of checkpoints: at each deletion, and at the end."""
    config = resolve(yaml.safe_load(TINY), ["train.max_steps=3"])
    synth.write(folder / "set", config.data.synth)
    job = new_job(folder, config, "run")
    train(job)
    checkpoints = list_checkpoints(job.directory.checkpoints)
    shutil.copytree(checkpoints[2], checkpoints[2].with_name("step-00000009"))
    deleted: list[str] = []

    def rmtree(path: Path) -> None:
        deleted.append(path.name)
        real(path)

    real = shutil.rmtree
    again = replace(job, resume=checkpoints[0], config=replace(config, train=replace(config.train, max_steps=2, keep_checkpoints=1)))
    with mock.patch.object(publish.shutil, "rmtree", rmtree):
        train(again)
    return {"deleted": deleted, "left": sorted(path.name for path in job.directory.checkpoints.iterdir())}


def test_what_is_deleted_loses_its_name_first_and_the_new_one_stays(tmp_path: Path) -> None:
    (names,) = run_on_ranks(1, save_over_what_is_there, tmp_path)
    assert names["left"] == ["step-00000002"]
    assert len(names["deleted"]) == 4
    assert all(name.startswith(".unfinished-") for name in names["deleted"])
