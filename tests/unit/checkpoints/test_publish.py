"""How a checkpoint gets its name: what goes wrong in between costs no other checkpoint."""

import shutil
from pathlib import Path

import pytest

from dist_alexnet.checkpoints import publish
from dist_alexnet.checkpoints.files import folder_name, list_checkpoints
from dist_alexnet.checkpoints.publish import Kept, make_room
from dist_alexnet.checkpoints.state import TrainingState, read_state

HERE = folder_name(9)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of checkpoints: that of step 9, at position 1."""
    save(tmp_path, state_of(position=1))
    return tmp_path


def state_of(position: int = 0, step: int = 9) -> TrainingState:
    config: dict[str, dict[str, int]] = {section: {} for section in ("model", "data", "train", "strategy", "launch")}
    schedule = {"best_error": None, "validations_since_best": 0, "drops": 0}
    return TrainingState(step, position, 0, {"last_lr": {"conv": None, "linear": None}}, schedule, config, {}, [])


def save(folder: Path, state: TrainingState) -> None:
    publish.publish(make_room(folder, state.step), state, Kept())


class Killed(BaseException):
    """As by SIGKILL: nothing is tidied up."""


@pytest.mark.parametrize("end", [OSError(5, "Input/output error"), Killed()])
def test_the_same_step_once_more_that_gets_no_name_leaves_the_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch, end: BaseException
) -> None:
    def rename(path: Path, target: Path) -> Path:
        if path.name == f".unfinished-{HERE}":
            raise end
        return real(path, target)

    real = Path.rename
    with monkeypatch.context() as broken:
        broken.setattr(Path, "rename", rename)
        with pytest.raises(type(end)):
            save(folder, state_of(position=2))
    assert [read_state(checkpoint).position for checkpoint in list_checkpoints(folder)] == [1]
    save(folder, state_of(position=3))
    assert [path.name for path in folder.iterdir()] == [HERE]
    assert read_state(folder / HERE).position == 3


def test_who_lists_checkpoints_at_that_instant_is_in_nobodys_way(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[Path]] = []

    def rename(path: Path, target: Path) -> Path:
        if path.name == f".unfinished-{HERE}" and not seen:
            seen.append(list_checkpoints(folder))
        return real(path, target)

    real = Path.rename
    monkeypatch.setattr(Path, "rename", rename)
    save(folder, state_of(position=2))
    assert seen == [[folder / HERE]]
    assert read_state(folder / HERE).position == 2
    assert [path.name for path in folder.iterdir()] == [HERE]


def test_a_folder_that_cannot_be_flushed_is_no_failure_of_what_is_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flush(*paths: Path) -> None:
        if folder in paths:
            raise OSError(22, "Invalid argument")

    monkeypatch.setattr(publish, "_flush", flush)
    save(folder, state_of(position=2))
    assert read_state(folder / HERE).position == 2


def test_a_leftover_that_cannot_be_deleted_is_in_the_way_of_its_own_step_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that somebody still reads on a network file system, or folders of another user."""
    stuck = [folder / ".unfinished-step-00000008", folder / ".unfinished-old-step-00000004"]

    def rmtree(path: Path) -> None:
        if path in stuck:
            raise OSError(39, "Directory not empty", str(path))
        real(path)

    for path in stuck:
        path.mkdir()
    real = shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", rmtree)
    save(folder, state_of(position=2, step=10))
    assert [checkpoint.name for checkpoint in list_checkpoints(folder)] == [HERE, folder_name(10)]
    with pytest.raises(OSError, match="File exists"):
        save(folder, state_of(step=8))
