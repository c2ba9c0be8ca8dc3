"""Checkpoints seen from outside: what is missing or cut short is named."""

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dist_alexnet.config import UsageError
from dist_alexnet.training.checkpoint_files import check_tensors, find_checkpoint, folder_name, list_checkpoints, read_state

SHAPES = {"conv1.weight": (8, 3, 2, 2), "conv1.bias": (8,)}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint of one layer in two shards, in a run folder with an unfinished newer one."""
    folder = tmp_path / "run" / "checkpoints" / folder_name(7)
    folder.mkdir(parents=True)
    for number in range(2):
        save_file({"conv1.weight": torch.zeros(4, 3, 2, 2), "conv1.bias": torch.zeros(4)}, folder / f"shard-{number}.safetensors")
    (folder / "state.json").write_text(json.dumps({"step": 7, "position": 56, "config": {"model": {}}, "classes": []}))
    (folder.parent / folder_name(9)).mkdir()
    return folder


def test_shards_together_make_the_tensors(checkpoint: Path) -> None:
    check_tensors(checkpoint, SHAPES)
    assert read_state(checkpoint)["step"] == 7


def test_the_newest_complete_one_is_found(checkpoint: Path) -> None:
    run = checkpoint.parent.parent
    assert list_checkpoints(checkpoint.parent) == [checkpoint]
    assert find_checkpoint(run) == find_checkpoint(run / "checkpoints") == find_checkpoint(checkpoint) == checkpoint


def test_no_checkpoint_at_all(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no complete checkpoint in"):
        find_checkpoint(tmp_path)


@pytest.mark.parametrize("size", [0, 4, 20, -1])
def test_a_truncated_file_is_named(checkpoint: Path, size: int) -> None:
    file = checkpoint / "shard-1.safetensors"
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(UsageError, match=r"shard-1.safetensors .*(truncated|cut short)"):
        check_tensors(checkpoint, SHAPES)


def test_a_missing_shard_shows_in_the_shape(checkpoint: Path) -> None:
    (checkpoint / "shard-0.safetensors").unlink()
    with pytest.raises(UsageError, match=r"conv1.weight of shape \[4, 3, 2, 2\], this run needs \[8, 3, 2, 2\]"):
        check_tensors(checkpoint, SHAPES)


def test_a_missing_tensor_is_named(checkpoint: Path) -> None:
    with pytest.raises(UsageError, match="lacks conv2.weight"):
        check_tensors(checkpoint, {"conv2.weight": (1,)})


@pytest.mark.parametrize(
    "header", [b"[]", b"3", b'{"a": 1}', b'{"a": {"data_offsets": [0, 0]}}', b'{"a": {"data_offsets": 1, "shape": []}}']
)
def test_a_header_that_describes_no_tensors(checkpoint: Path, header: bytes) -> None:
    (checkpoint / "shard-1.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(UsageError, match=r"shard-1.safetensors is not a safetensors file, or cut short"):
        check_tensors(checkpoint, SHAPES)


UNREADABLE = {
    "empty": "",
    "no object": "[1]",
    "cut short": "{",
    "no position": '{"step": 1, "config": {"model": {}}, "classes": []}',
    "step is text": '{"step": "1", "position": 2, "config": {"model": {}}, "classes": []}',
    "config is a number": '{"step": 1, "position": 2, "config": 3, "classes": []}',
    "no model": '{"step": 1, "position": 2, "config": {}, "classes": []}',
    "no classes": '{"step": 1, "position": 2, "config": {"model": {}}}',
}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE)
def test_an_unreadable_state_is_named(checkpoint: Path, content: str) -> None:
    (checkpoint / "state.json").write_text(content)
    with pytest.raises(UsageError, match=r"has no readable state.json"):
        read_state(checkpoint)
