"""Checkpoints seen from outside: what is missing, cut short, changed or of another version is named, and what to fall back on."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dist_alexnet.checkpoints.files import find_checkpoint, folder_name, list_checkpoints
from dist_alexnet.checkpoints.resume import check_usable, check_whole, newest_whole
from dist_alexnet.checkpoints.state import Damaged, read_state, write_state
from dist_alexnet.checkpoints.tensor_headers import check_tensors
from dist_alexnet.config import UsageError
from tests.unit.asking import TINY, as_format_1, ask, write_checkpoint


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with the checkpoints of steps 7 and 9."""
    folder = tmp_path_factory.mktemp("written")
    (folder / "tiny.yaml").write_text(json.dumps(TINY))
    prepared = ask(folder, str(folder / "tiny.yaml"))
    for step in (7, 9):
        write_checkpoint(prepared, step)
    return prepared.job.directory.path


@pytest.fixture
def run(written: Path, tmp_path: Path) -> Path:
    shutil.copytree(written, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def checkpoint(run: Path) -> Path:
    return run / "checkpoints" / folder_name(9)


def change(checkpoint: Path, how: Callable[[dict[str, Any]], Any]) -> None:
    state = json.loads((checkpoint / "state.json").read_text())
    how(state)
    (checkpoint / "state.json").write_text(json.dumps(state))


@pytest.mark.parametrize("number", [1, 2])
def test_a_whole_one_of_either_format(checkpoint: Path, number: int) -> None:
    if number == 1:
        as_format_1(checkpoint)
    check_whole(checkpoint)
    assert (read_state(checkpoint).step, read_state(checkpoint).format) == (9, number)


def test_the_newest_complete_one_is_found(run: Path, checkpoint: Path) -> None:
    older = checkpoint.with_name(folder_name(7))
    for name in ("step-00000011", ".unfinished-step-00000012", "step-9.old", "step-00000010.bak"):
        (checkpoint.parent / name).mkdir()
        if name[-1] != "1":
            shutil.copy(checkpoint / "state.json", checkpoint.parent / name)
    assert list_checkpoints(checkpoint.parent) == [older, checkpoint], "and what somebody put aside is none"
    assert find_checkpoint(run) == find_checkpoint(run / "checkpoints") == find_checkpoint(checkpoint) == checkpoint
    (checkpoint.parent / "step-100000000").mkdir()
    shutil.copy(checkpoint / "state.json", checkpoint.parent / "step-100000000")
    assert find_checkpoint(run).name == "step-100000000", "by number, not by letters"


def test_no_checkpoint_at_all(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file", tmp_path / "nowhere"):
        with pytest.raises(UsageError, match="no complete checkpoint in"):
            find_checkpoint(path)
    with pytest.raises(UsageError, match="cannot look for checkpoints in .*file: Not a directory"):
        list_checkpoints(tmp_path / "file")


def test_a_folder_that_may_not_be_looked_into(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As anybody but root meets it."""

    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", refuse)
    with pytest.raises(UsageError, match=f"cannot look for checkpoints in {run}: Permission denied; type a run folder or checkpoint that"):
        find_checkpoint(run)
    with pytest.raises(UsageError, match="cannot look for checkpoints in .*/checkpoints: Permission denied; type a run"):
        list_checkpoints(run / "checkpoints")


@pytest.mark.parametrize("file", ["model.safetensors", "optimizer/momentum.safetensors"])
def test_a_byte_that_flipped_and_a_file_that_is_gone(checkpoint: Path, file: str) -> None:
    content = bytearray((checkpoint / file).read_bytes())
    content[-5] ^= 1
    (checkpoint / file).write_bytes(content)
    with pytest.raises(
        UsageError, match=f"step-00000009/{file} is not as it was written: .*SHA-256 .* whole one before it is .*00007: type"
    ):
        check_usable(checkpoint)
    (checkpoint / file).unlink()
    with pytest.raises(UsageError, match=f"step-00000009/{file} cannot be read .No such file"):
        check_usable(checkpoint)
    whole, faults = newest_whole(list_checkpoints(checkpoint.parent))
    assert (whole, len(faults)) == (checkpoint.with_name(folder_name(7)), 1)
    if file.startswith("optimizer"):
        check_usable(checkpoint, momentum=False)


def test_no_older_one_is_whole_either(run: Path) -> None:
    for checkpoint in list_checkpoints(run / "checkpoints"):
        (checkpoint / "model.safetensors").unlink()
    with pytest.raises(UsageError, match="and no older one beside it is whole; type another"):
        check_usable(find_checkpoint(run))
    whole, faults = newest_whole(list_checkpoints(run / "checkpoints"))
    assert (whole, len(faults)) == (None, 2)


@pytest.mark.parametrize("size", [0, 4, 20, -1])
def test_a_truncated_part_of_format_1_is_named(checkpoint: Path, size: int) -> None:
    as_format_1(checkpoint)
    file = sorted(checkpoint.glob("*.safetensors"))[1]
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(Damaged, match=r"shard-00002-\S+ .*(truncated|cut short)"):
        check_whole(checkpoint)


@pytest.mark.parametrize(("part", "message"), [(0, "lacks rows of conv1.weight from 0 on"), (1, "lacks rows of conv1.weight from 4 on")])
def test_a_missing_part_of_format_1_is_no_other_network(checkpoint: Path, part: int, message: str) -> None:
    as_format_1(checkpoint)
    sorted(checkpoint.glob("*.safetensors"))[part].unlink()
    with pytest.raises(Damaged, match=f"{message}: a file of it is missing"):
        check_whole(checkpoint)


def test_tensors_of_another_network_are_named(checkpoint: Path) -> None:
    with pytest.raises(Damaged, match="lacks conv9.weight"):
        check_tensors(checkpoint, {"conv9.weight": (1,)})
    with pytest.raises(Damaged, match=r"has conv1.bias of shape \[8\], this run needs \[4\]: another model section"):
        check_tensors(checkpoint, {"conv1.bias": (4,)})


@pytest.mark.parametrize(
    "header", [b"[]", b"3", b'{"a": 1}', b"[" * 100_000, b'{"a": {"data_offsets": [0, 0]}}', b'{"a": {"data_offsets": 1, "shape": []}}']
)
def test_a_header_that_describes_no_tensors(checkpoint: Path, header: bytes) -> None:
    (checkpoint / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(Damaged, match="model.safetensors is not a safetensors file, or cut short"):
        check_tensors(checkpoint, {"conv1.bias": (8,)})


def test_a_format_that_is_not_known_yet(checkpoint: Path) -> None:
    change(checkpoint, lambda state: state.update(format=99, versions={"dist-alexnet": "7.1"}))
    with pytest.raises(UsageError, match="is of format 99, written by dist-alexnet 7.1, and this version reads up to 2; install that"):
        newest_whole([checkpoint])


def test_a_setting_that_is_not_known_here(checkpoint: Path) -> None:
    change(checkpoint, lambda state: state["config"]["model"].update(old_setting=3))
    with pytest.raises(UsageError, match="state.json was written by dist-alexnet 0.1.0, with settings that .*old_setting.*; install"):
        check_usable(checkpoint)


@pytest.mark.parametrize("content", ["", "[1]", "{", "[" * 100_000, "\udcff"])
def test_an_unreadable_state_is_named(checkpoint: Path, content: str) -> None:
    (checkpoint / "state.json").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(UsageError, match="has no readable state.json .*; the newest whole one before it is .*00007"):
        check_usable(checkpoint)


def test_a_flipped_bit_in_the_state_is_noticed_wherever_it_is(checkpoint: Path) -> None:
    file = checkpoint / "state.json"
    written = read_state(checkpoint)  # which has no checksum, as the first checkpoints of format 2
    write_state(checkpoint, written)
    assert read_state(checkpoint) == written
    whole = file.read_bytes()
    inside = range(whole.index(b'"sha256": "'), whole.index(b'"sha256": "') + 8)  # its name alone: the rest is as it was written
    for at in set(range(len(whole))) - set(inside):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(Damaged):
            read_state(checkpoint)
    found, faults = newest_whole(list_checkpoints(checkpoint.parent))
    assert found == checkpoint.with_name(folder_name(7))
    assert len(faults) == 1


MISFITS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "position is missing": lambda state: state.pop("position"),
    "step is '1'": lambda state: state.update(step="1"),
    "step is True": lambda state: state.update(step=True),
    "step is negative": lambda state: state.update(step=-1),
    "config is no object": lambda state: state.update(config=3),
    "config.model is missing": lambda state: state.update(config={}),
    "classes is missing": lambda state: state.pop("classes"),
    "schedule.drops is None": lambda state: state["schedule"].update(drops=None),
    "it says NaN": lambda state: state["schedule"].update(best_error=float("nan")),
    "optimizer.last_lr.conv is missing": lambda state: state["optimizer"]["last_lr"].pop("conv"),
    "validation.loss is missing": lambda state: state.update(validation={"top1_error": 0.5, "top5_error": 0.1}),
    "files is missing": lambda state: state.pop("files"),
    "its format is 'two'": lambda state: state.update(format="two"),
}


@pytest.mark.parametrize("told", MISFITS)
def test_a_state_that_does_not_fit_says_what(checkpoint: Path, told: str) -> None:
    change(checkpoint, MISFITS[told])
    with pytest.raises(Damaged, match=rf"has no readable state.json \({told}\)"):
        read_state(checkpoint)


def test_the_best_is_that_whose_own_weights_were_validated(run: Path, checkpoint: Path) -> None:
    with pytest.raises(UsageError, match="no checkpoint in .*/checkpoints was validated when it was written; leave --best out"):
        find_checkpoint(run, best=True)
    validation = {"top1_error": 0.5, "top5_error": 0.0, "loss": 1.0, "images": 8}
    for folder in list_checkpoints(run / "checkpoints"):
        change(folder, lambda state: state.update(validation=validation, validated_at=16 * 7))  # the later one only carries it on
    assert find_checkpoint(run, best=True).name == folder_name(7)
    assert find_checkpoint(run) == checkpoint
