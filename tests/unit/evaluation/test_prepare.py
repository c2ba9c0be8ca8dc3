"""What can be evaluated, and what is refused in one line."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from dist_alexnet.config import UsageError
from dist_alexnet.data.synth import synth
from dist_alexnet.evaluation.prepare import EvaluationRequest, PreparedEvaluation, prepare_evaluation
from dist_alexnet.runs.directory import RunDirectory
from tests.unit.asking import ask, write_checkpoint

SINGLE = ("strategy.name=single", "launch.workers=1")


def evaluation(tmp_path: Path, checkpoints: Sequence[Path], *overrides: str, **asked: Any) -> PreparedEvaluation:
    request = EvaluationRequest(checkpoints, [*SINGLE, *overrides], **asked)
    return prepare_evaluation(request, RunDirectory(tmp_path / "evaluation"))


@pytest.fixture
def two(tmp_path: Path, preset: str) -> list[Path]:
    return [write_checkpoint(ask(tmp_path, preset, name=name)) for name in ("a", "b")]


def change(checkpoint: Path, how: Callable[[dict[str, Any]], None]) -> None:
    state = json.loads((checkpoint / "state.json").read_text())
    how(state)
    (checkpoint / "state.json").write_text(json.dumps(state))


@pytest.mark.parametrize("folder", ["runs/old/checkpoints/step-00000001", "copied"])
def test_images_are_generated_where_training_would(tmp_path: Path, preset: str, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    prepared = ask(tmp_path, preset, name="old")
    checkpoint = write_checkpoint(prepared)
    if folder == "copied":
        shutil.copytree(checkpoint, tmp_path / folder)
    assert evaluation(tmp_path, [tmp_path / folder]).job.data == prepared.job.data


def test_it_is_said_what_is_done(tmp_path: Path, two: list[Path]) -> None:
    told: list[str] = []
    shutil.rmtree(tmp_path / "runs" / ".data")
    prepare_evaluation(EvaluationRequest(two, SINGLE), RunDirectory(tmp_path / "evaluation"), told.append)
    assert told == ["2 checkpoint(s): loading PyTorch", "drawing 48 images", "evaluating on 8 images, 1 rank(s)"]


def test_several_are_all_handed_on(tmp_path: Path, two: list[Path]) -> None:
    runs = [checkpoint.parent.parent for checkpoint in two]
    prepared = evaluation(tmp_path, [*runs, two[0]], views=10, confusion=True)
    job = prepared.job
    assert (job.checkpoints, job.views, job.confusion) == ((*two, two[0]), 10, True), "one may be there twice: a weight"
    assert len(prepared.classes) == 4


@pytest.mark.parametrize(
    ("how", "difference"),
    [
        (lambda state: state["config"]["model"].update(lrn="code"), "model.lrn: paper and code"),
        (lambda state: state["config"]["model"].update(dropout=0.25), "model.dropout: 0.5 and 0.25"),
        (lambda state: state["config"]["data"].update(subtract="channel"), "data.subtract: auto and channel"),
        (lambda state: state.update(subtracted="nothing"), "what is subtracted from the images: None and nothing"),
        (lambda state: state["classes"].append("more"), "the number of classes: 4 and 5"),
        (lambda state: state["classes"].__setitem__(1, "other"), "class 1: ring and other"),
        (lambda state: state["config"]["data"].update(std=64), "data.std: 1.0 and 64.0"),
        (lambda state: state["config"]["data"].update(mean=[1, 2, 3]), r"data.mean: None and \[1.0, 2.0, 3.0\]"),
        (lambda state: state["config"]["train"].update(dtype="float64"), "train.dtype: float32 and float64"),
    ],
)
def test_what_cannot_be_averaged(tmp_path: Path, two: list[Path], how: Callable[[dict[str, Any]], None], difference: str) -> None:
    change(two[1], how)
    with pytest.raises(UsageError, match=rf"runs/a/.* and .*runs/b/.* cannot be averaged \({difference}\); evaluate them one by one$"):
        evaluation(tmp_path, two)


def test_a_setting_that_is_typed_is_that_of_all(tmp_path: Path, two: list[Path]) -> None:
    change(two[1], lambda state: state["config"]["data"].update(std=64))
    assert evaluation(tmp_path, two, "data.std=32").job.config.data.std == 32


def test_what_cannot_matter_where_there_are_weights_does_not_hinder(tmp_path: Path, two: list[Path]) -> None:
    change(two[1], lambda state: state["config"]["model"].update(init="code"))
    assert evaluation(tmp_path, two).job.checkpoints == tuple(two)


@pytest.mark.parametrize(
    "typed", ["train.lr=1", "train.schedule.name=cosine", "data.augment.mirror=false", "data.order=file", "model.init=code"]
)
def test_what_cannot_matter_where_nothing_is_trained(tmp_path: Path, two: list[Path], typed: str) -> None:
    with pytest.raises(UsageError, match=f"^{typed.partition('=')[0]} would do nothing: an evaluation does not train; leave it out$"):
        evaluation(tmp_path, two, typed)
    assert evaluation(tmp_path, two, "train.global_batch=4", "train.dtype=float64").job.config.train.global_batch == 4


def test_every_checkpoint_must_be_whole(tmp_path: Path, two: list[Path]) -> None:
    (two[1] / "model.safetensors").unlink()
    with pytest.raises(UsageError, match=r"runs/b/\S+/model.safetensors cannot be read"):
        evaluation(tmp_path, two)
    with pytest.raises(UsageError, match="no complete checkpoint in .*nowhere; give a checkpoint"):
        evaluation(tmp_path, [two[0], tmp_path / "nowhere"])


def test_data_without_validation_images_or_of_other_classes(tmp_path: Path, two: list[Path], preset: str) -> None:
    other = ask(tmp_path, preset, "data.synth.classes=5", name="other").job.data
    with pytest.raises(UsageError, match=r"model.classes=4, but .* has 5 classes"):
        evaluation(tmp_path, two, f"data.path={other}")
    shutil.rmtree(other / "val")
    with pytest.raises(UsageError, match="it has no val/"):
        evaluation(tmp_path, two, f"data.path={other}")


def test_images_that_cannot_be_generated(tmp_path: Path, two: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(synth, "ensure", refuse)
    with pytest.raises(UsageError, match="cannot write .*: Permission denied; type --data with the set to evaluate on") as refusal:
        evaluation(tmp_path, two)
    assert "--output-dir" not in str(refusal.value), "eval has no such option"


def test_another_mean_than_in_training_is_told(tmp_path: Path, two: list[Path]) -> None:
    change(two[0], lambda state: state.update(subtracted="a mean of each pixel"))
    assert evaluation(tmp_path, two[1:]).notes == [], "nothing is known of it"
    (note,) = evaluation(tmp_path, two[:1]).notes
    assert note.startswith(
        "step-00000001 was trained with a mean of each pixel subtracted from the images, but now it is a mean of each colour"
    )
    assert "(R, G, B 127.30, 119.72, 104.91; checksum " in note
    same = note.partition("but now it is ")[2]
    change(two[0], lambda state: state.update(subtracted=same))
    assert evaluation(tmp_path, two[:1]).notes == []


def test_a_state_that_cannot_be_read_has_the_checkpoint_to_fall_back_on(tmp_path: Path, preset: str) -> None:
    prepared = ask(tmp_path, preset)
    older, newer = (write_checkpoint(prepared, step) for step in (1, 2))
    (newer / "state.json").write_text("")
    with pytest.raises(UsageError, match=f"step-00000002 has no readable state.json .* whole one before it is {older}: type that"):
        prepare_evaluation(EvaluationRequest([prepared.job.directory.path], []), RunDirectory(tmp_path / "eval"))
