"""Runs on other storage, which a real S3 server on loopback is: what is there, what is not, and what happens while it does not answer."""

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dist_alexnet.checkpoints.files import folder_name, list_checkpoints
from dist_alexnet.checkpoints.remote import Remote
from dist_alexnet.checkpoints.resume import check_whole
from dist_alexnet.config import Config, TrainConfig, UsageError
from dist_alexnet.observers.storage import Behind, Storage
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.records import CheckpointSaved
from dist_alexnet.training.from_storage import from_storage
from tests.unit.asking import TINY, ask, write_checkpoint
from tests.unit.observers.s3_server import S3, s3_server


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with the checkpoints of steps 7, 8 and 9; the second has the lowest validation error."""
    folder = tmp_path_factory.mktemp("written")
    (folder / "tiny.yaml").write_text(json.dumps(TINY))
    prepared = ask(folder, str(folder / "tiny.yaml"))
    for step, error in ((7, 0.5), (8, 0.25), (9, 0.75)):
        state = write_checkpoint(prepared, step) / "state.json"
        validation = {"top1_error": error, "top5_error": 0.0, "loss": 1.0, "images": 8}
        state.write_text(json.dumps({**json.loads(state.read_text()), "validated_at": 16 * step, "validation": validation}))
    return prepared.job.directory.path


@pytest.fixture
def run(written: Path, tmp_path: Path) -> RunDirectory:
    shutil.copytree(written, tmp_path / "here" / tmp_path.name)
    return RunDirectory(tmp_path / "here" / tmp_path.name)


def observer(run: RunDirectory, s3: S3, wait_s: float = 60.0, **train: object) -> Storage:
    config = replace(Config(), train=TrainConfig(**{"keep_checkpoints": 0, **train}))  # type: ignore[arg-type]
    made = Storage(config, run, Storage.Options(s3.uri(), wait_s))
    made.begin([])
    return made


SAVED = CheckpointSaved(step=9, path=folder_name(9))


def test_another_machine_goes_on_with_the_newest_that_is_whole(run: RunDirectory, s3: S3, tmp_path: Path) -> None:
    """Two machines, two folders: the second fetches the newest; where that is cut short on the storage, the one before it."""
    run.metrics.write_text("a record\n")
    mirror = observer(run, s3)
    run.finish({"status": "completed"})
    mirror.close()
    remote, name = Remote(s3.uri(), run.path.name), run.path.name
    assert remote.checkpoints() == ([folder_name(step) for step in (7, 8, 9)], [])
    assert json.loads(remote.read("summary.json") or b"") == {"status": "completed"}
    assert remote.read("config.yaml") == run.config.read_bytes()
    assert from_storage(s3.uri(f"runs/{name}"), None, tmp_path / "there", [], print) == ("auto", name)
    (there,) = list_checkpoints(tmp_path / "there" / name / "checkpoints")
    assert there.name == folder_name(9)
    check_whole(there)
    assert (tmp_path / "there" / name / "metrics.jsonl").read_text() == "a record\n"
    remote.write(f"checkpoints/{folder_name(9)}/model.safetensors", b"cut short")
    told: list[str] = []
    from_storage("auto", name, tmp_path / "third", [f"observers.storage.uri={s3.uri()}"], told.append)
    assert "falling back" in told[1]
    check_whole(tmp_path / "third" / name / "checkpoints" / folder_name(8))


def test_what_need_not_stay_goes_there_too_but_not_the_best(run: RunDirectory, s3: S3) -> None:
    remote = Remote(s3.uri(), run.path.name)
    remote.write(f"checkpoints/{folder_name(3)}/model.safetensors", b"of a driver that was killed")
    observer(run, s3, keep_checkpoints=1, keep_best=True).close()
    assert remote.checkpoints() == ([folder_name(8), folder_name(9)], [])


def test_storage_that_is_away_for_a_while_costs_nothing_but_delay(run: RunDirectory, s3: S3) -> None:
    mirror = observer(run, s3)
    with s3.away():
        mirror.see(SAVED)
        time.sleep(3)
    mirror.close()
    assert Remote(s3.uri(), run.path.name).checkpoints()[0][-1] == folder_name(9)


def test_storage_that_is_away_for_good_ends_with_a_line(run: RunDirectory, s3: S3) -> None:
    mirror = observer(run, s3, wait_s=0.5)
    time.sleep(0.5)
    with s3.away():
        run.finish({"status": "completed"})
        with pytest.raises(Behind, match=f"has not all of this run .*; its files are in {run.path}"):
            mirror.close()


def test_what_cannot_be_written_and_what_holds_secrets_is_refused_before_anything_starts(run: RunDirectory, s3: S3) -> None:
    with pytest.raises(UsageError, match="--storage .*no-bucket.* cannot be written: "):
        Remote(s3.uri().replace("bucket", "no-bucket"), "x").check()
    for uri in ("s3://KEY:hush@bucket/x", "s3://bucket/x?access_key=KEY&secret_key=hush"):
        with pytest.raises(UsageError, match="holds credentials") as refusal:
            Storage.Options(uri)
        assert "hush" not in str(refusal.value)
    with pytest.raises(UsageError, match="is no URI"):
        Storage.Options("runs")
