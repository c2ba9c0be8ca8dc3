"""Whole runs on a disk that fills up, and beside storage that is away for a while."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dist_alexnet.checkpoints.files import find_checkpoint, list_checkpoints
from dist_alexnet.checkpoints.remote import Remote
from tests.orchestration.runs import begin, has_logged, wait_until
from tests.unit.observers.s3_server import s3_server

AWAY_S = 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no small disk can be made here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as stream, suppress(OSError):
        while stream.write(bytes(4096)):
            pass
    return ballast


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_on_a_disk_that_stays_full_ends_with_what_is_there_and_goes_on_from_it(small_disk: Path, workplace: Path) -> None:
    """It trains to its end nevertheless, tries for some seconds, and ends with exit code 1 and one line."""
    often = ["train.epochs=5", "train.keep_checkpoints=2", "--launcher", "local"]
    run = begin(workplace, "full", "--output-dir", str(small_disk), *often, temporary=workplace)
    wait_until(run, lambda: has_logged(small_disk / "full", '"kind": "checkpoint"'))
    ballast = fill(small_disk)
    output = run.communicate(timeout=200)[0]
    stays = find_checkpoint(small_disk / "full")
    assert run.returncode == 1
    assert f"No space left on device; make room, then --resume auto goes on from {stays.name}" in output
    assert "to go on: " in output
    ballast.unlink()
    following = begin(workplace, "full", "--output-dir", str(small_disk), *often, "--resume", "auto", temporary=workplace)
    assert f"resumed at step {int(stays.name[5:])}" in following.communicate(timeout=200)[0]
    assert following.returncode == 0
    assert [checkpoint.name for checkpoint in list_checkpoints(small_disk / "full" / "checkpoints")] == ["step-00000027", "step-00000030"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_storage_that_is_away_for_20_seconds_has_everything_at_the_end(workplace: Path, tmp_path: Path) -> None:
    """A whole run, whose checkpoints come while nobody takes them; another machine, which is another folder, has its end."""
    with s3_server() as s3:
        often = ["train.epochs=5", "train.keep_checkpoints=2", "--launcher", "local"]
        run = begin(workplace, "away", "--storage", s3.uri(), *often, temporary=workplace)
        wait_until(run, lambda: has_logged(workplace / "runs" / "away", '"kind": "checkpoint"'))
        with s3.away():
            time.sleep(AWAY_S)
        output = run.communicate(timeout=200)[0]
        assert run.returncode == 0, output
        remote = Remote(s3.uri(), "away")
        assert remote.checkpoints() == (["step-00000027", "step-00000030"], [])
        assert json.loads(remote.read("summary.json") or b"")["steps"] == 30
        more = ["train.epochs=6", "--launcher", "local", "--output-dir", str(tmp_path), "--resume", s3.uri("runs/away")]
        following = begin(workplace, "away", *more, temporary=workplace)
        told = following.communicate(timeout=200)[0]
        assert following.returncode == 0, told
        assert "fetching step-00000030" in told
        assert "resumed at step 30" in told
