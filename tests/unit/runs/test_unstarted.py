"""A run that never started leaves no folder behind; one that did, and one that was there before, stay."""

from pathlib import Path

import pytest

from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.failure import TrainingFailed
from dist_alexnet.runs.unstarted import taken_back_unless_started
from dist_alexnet.training.prepare import make_free
from tests.unit.asking import ask


def end(directory: RunDirectory, error: BaseException, fresh: bool = True) -> BaseException:
    with pytest.raises(type(error)) as raised, taken_back_unless_started(directory, fresh):
        raise error
    return raised.value


def test_what_was_typed_can_be_typed_again(tmp_path: Path, preset: str) -> None:
    first = ask(tmp_path, preset)
    end(first.job.directory, TrainingFailed("the ranks could not be run"), first.fresh)
    assert not first.job.directory.path.exists()
    assert ask(tmp_path, preset).fresh


def test_the_logs_that_say_why_are_kept_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    directory = RunDirectory(tmp_path / "runs" / "x")
    directory.create()
    directory.log(1).write_text("why")
    told = str(end(directory, TrainingFailed(f"rank 1 failed; its log: {directory.log(1)}")))
    assert not directory.path.exists()
    log = Path(told.removeprefix("rank 1 failed; its log: "))
    assert log.is_relative_to(tmp_path / "tmp")
    assert log.read_text() == "why"


def test_a_run_that_started_or_that_was_there_before_stays(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "x")
    directory.create()
    end(directory, TrainingFailed(""), fresh=False)
    assert directory.path.exists()
    directory.metrics.write_text('{"kind": "start", "step": 0, "epoch": 0.0, "total_epochs": 1.0, "total_steps": 1}\n')
    end(directory, TrainingFailed(""))
    assert directory.path.exists()


def test_runs_without_a_name_that_begin_in_one_second_have_two(tmp_path: Path, preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.strftime", lambda how: "20261125-101112")
    prepared = [ask(tmp_path, preset, name=None) for _ in range(3)]
    names = [each.job.directory.path.name for each in prepared]
    assert names == [f"channel_split-20261125-101112{end}" for end in ("", "-2", "-3")]
    assert all(each.fresh and each.job.directory.config.exists() for each in prepared)


def test_a_free_folder_is_made(tmp_path: Path) -> None:
    assert [make_free(tmp_path / "a" / "x").name for _ in range(3)] == ["x", "x-2", "x-3"]
    assert len(list((tmp_path / "a").iterdir())) == 3
