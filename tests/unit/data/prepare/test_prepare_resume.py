"""A preparation that is cut short is taken up again, and ends with the same bytes as one that was not."""

import errno
import shutil
from pathlib import Path
from unittest import mock

import pytest

from dist_alexnet.config import UsageError
from dist_alexnet.data.prepare import prepare as preparation
from dist_alexnet.data.prepare.photograph import Storage
from dist_alexnet.data.prepare.prepare import prepare
from dist_alexnet.data.sets.shards import write_shard

STORE = Storage(size=64)


def again(photographs: Path, target: Path, **options: object) -> preparation.Report:
    return prepare(photographs, target, STORE, shard_images=7, workers=1, **options)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("shards", [0, 1, 3, 5])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_it_goes_on_where_it_was(photographs: Path, prepared: Path, tmp_path: Path, shards: int, error: BaseException) -> None:
    def fail(path: Path, rows: list) -> object:
        if len(list(tmp_path.rglob("*.arrow"))) == shards:
            path.with_suffix(".part").write_bytes(b"half")
            raise error
        return write_shard(path, rows)

    with mock.patch.object(preparation, "write_shard", fail), pytest.raises((KeyboardInterrupt, UsageError)) as raised:
        again(photographs, tmp_path / "set")
    if isinstance(error, OSError):
        assert "No space left on device; what is written stays: make room, then run this again" in str(raised.value)
    assert not (tmp_path / "set").exists()
    report = again(photographs, tmp_path / "set")
    assert report.resumed == {0: 0, 1: 7, 3: 21, 5: 31}[shards]
    assert content(tmp_path / "set") == content(prepared)


def test_other_settings_do_not_go_on(photographs: Path, tmp_path: Path) -> None:
    with mock.patch.object(preparation, "write_shard", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        again(photographs, tmp_path / "set")
    with pytest.raises(UsageError, match="begun with another quality 95 instead of 90; type the command that began it, or name another"):
        prepare(photographs, tmp_path / "set", Storage(size=64, quality=90), shard_images=7, workers=1)


def test_strict_keeps_what_is_sound_until_the_rest_is_mended(photographs: Path, prepared: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(photographs, tmp_path / "photographs")
    victim = sorted((copy / "train" / "disc").iterdir())[2]
    sound = victim.read_bytes()
    victim.write_bytes(sound[:300])
    with pytest.raises(UsageError, match=r"1 files do not decode, such as train/disc/.*\.jpg OSError.*quarantine.csv: mend them and run"):
        again(copy, tmp_path / "set", strict=True)
    victim.write_bytes(sound)
    report = again(copy, tmp_path / "set", strict=True)
    assert report.resumed == 24 + 10 - 7
    assert {name: data for name, data in content(tmp_path / "set").items() if name != "quarantine.csv"} == content(prepared)
