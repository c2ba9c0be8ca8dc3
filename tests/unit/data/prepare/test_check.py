"""Every damage to a data set is found, and each is named."""

import shutil
from pathlib import Path

import pytest

from dist_alexnet.data.prepare.check import check_set
from dist_alexnet.data.sets.open import open_split


@pytest.mark.parametrize("workers", [1, 2])
def test_a_sound_set(prepared: Path, workers: int) -> None:
    seen: list[tuple[int, int]] = []
    found = check_set(prepared, workers, lambda done, total: seen.append((done, total)))
    assert (found.faults, found.duplicates) == ([], [])
    assert found.counts == {"train": [6, 6, 6, 6], "val": [3, 2, 3, 2]}
    assert seen[-1] == (34, 34)


@pytest.mark.parametrize("kind", ["prepared", "raw"])
@pytest.mark.parametrize("byte", range(12))
def test_any_byte_that_changes_is_found(kind: str, byte: int, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    copy = shutil.copytree(request.getfixturevalue(kind), tmp_path / "set")
    path = open_split(copy, "train").paths[2]
    content = bytearray(path.read_bytes())
    content[(byte * len(content)) // 12] ^= 0xFF
    path.write_bytes(content)
    assert f"{path}: not the bytes that were written (its SHA-256 is another)" in check_set(copy, 1).faults


def test_copies_are_named(photographs: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(photographs, tmp_path / "set")
    first = min((copy / "train" / "disc").iterdir())
    shutil.copy(first, copy / "val" / "disc" / "copy.jpg")
    (copy / "train" / "disc" / "notes.txt").touch()
    found = check_set(copy, 1)
    assert found.faults == []
    assert found.passed_over == [f"1 file(s) passed over, the first: {copy}/train/disc/notes.txt"]
    assert [sorted(names) for names in found.duplicates] == [sorted([str(first), str(copy / "val" / "disc" / "copy.jpg")])]
