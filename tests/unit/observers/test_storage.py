"""Runs on other storage, which a real S3 server on loopback is: what is there, what is not, and what happens while it does not answer."""

import json
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dist_alexnet.checkpoints.files import folder_name, list_checkpoints
from dist_alexnet.checkpoints.publish import Kept, clear
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
    observer(run, s3).close()
    clear(run.checkpoints, Kept(1, best=True))
    observer(run, s3, keep_checkpoints=1, keep_best=True).close()
    assert remote.checkpoints() == ([folder_name(8), folder_name(9)], [])


def test_a_checkpoint_that_the_run_keeps_stays_there_beside_later_steps_that_were_given_up(run: RunDirectory, s3: S3) -> None:
    """As after a resume from an older one: here the new one is the newest, whatever its step, and so it is there."""
    observer(run, s3).close()
    for step in (8, 9):
        shutil.rmtree(run.checkpoints / folder_name(step))
    observer(run, s3, keep_checkpoints=2).close()
    assert Remote(s3.uri(), run.path.name).checkpoints() == ([folder_name(7), folder_name(9)], [])


def test_a_run_that_this_machine_does_not_know_is_not_overwritten(run: RunDirectory, s3: S3, tmp_path: Path) -> None:
    """Names are unique on one machine; `--resume auto` is how another one says that it means the same run."""
    run.metrics.write_text("a record\n")
    observer(run, s3).close()
    another = RunDirectory(tmp_path / "there" / run.path.name)
    another.create()
    with pytest.raises(UsageError, match=f"has another run {run.path.name}, with 3 .*; type --resume auto .* or another --name"):
        observer(another, s3)
    from_storage("auto", run.path.name, tmp_path / "there", [f"observers.storage.uri={s3.uri()}"], print)
    observer(another, s3).close()


def test_runs_of_one_name_are_not_mixed(run: RunDirectory, s3: S3, tmp_path: Path) -> None:
    """Neither by what is copied there (a run of other storage that is gone on with here) nor by what is fetched."""
    run.metrics.write_text("a record\n")
    observer(run, s3).close()
    another = RunDirectory(tmp_path / "there" / run.path.name)
    shutil.copytree(run.path, another.path)
    another.metrics.write_text("another\n")
    with pytest.raises(UsageError, match=f"has another run {run.path.name}, .* would be overwritten; type another --storage"):
        observer(another, s3)
    shutil.rmtree(another.checkpoints / folder_name(9))
    with pytest.raises(UsageError, match="is another run than the one of this name on the storage; type another --output-dir"):
        from_storage("auto", run.path.name, tmp_path / "there", [f"observers.storage.uri={s3.uri()}"], print)
    assert len(list_checkpoints(another.checkpoints)) == 2


def test_a_run_that_was_killed_before_its_first_checkpoint_goes_on_elsewhere(run: RunDirectory, s3: S3, tmp_path: Path) -> None:
    run.metrics.write_text("a record\n")
    shutil.rmtree(run.checkpoints)
    observer(run, s3).close()
    typed = (tmp_path / "there", [f"observers.storage.uri={s3.uri()}"], print)
    with pytest.raises(UsageError, match="there is no complete checkpoint; type the URI of a run folder"):
        from_storage(s3.uri(f"runs/{run.path.name}"), None, *typed)
    assert not (tmp_path / "there").exists()
    from_storage("auto", run.path.name, *typed)
    for name in ("metrics.jsonl", "config.yaml"):
        assert (tmp_path / "there" / run.path.name / name).read_bytes() == (run.path / name).read_bytes()


def test_what_is_damaged_here_is_fetched_and_not_while_somebody_trains_here(run: RunDirectory, s3: S3) -> None:
    typed = ("auto", run.path.name, run.path.parent, [f"observers.storage.uri={s3.uri()}"], print)
    observer(run, s3).close()
    weights = run.checkpoints / folder_name(9) / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(b"cut short")
    with run.lock(), pytest.raises(UsageError, match="another process is training in"):
        from_storage(*typed)
    from_storage(*typed)
    assert weights.read_bytes() == whole


def test_objects_whose_names_lead_elsewhere_are_not_fetched(run: RunDirectory, s3: S3, tmp_path: Path) -> None:
    """An object store takes any name: to it a slash is a letter."""
    remote, stray = Remote(s3.uri(), run.path.name), tmp_path / "stray"
    remote.put_checkpoint(run.checkpoints / folder_name(9))
    for name in (str(stray), "a//stray"):
        s3.put(f"runs/{run.path.name}/checkpoints/{folder_name(9)}/{name}", b"of somebody else")
    check_whole(remote.get_checkpoint(folder_name(9), tmp_path / "there"))
    assert not list(tmp_path.rglob("stray"))


def test_a_uri_means_the_run_whose_name_it_spells(run: RunDirectory, s3: S3, tmp_path: Path) -> None:
    observer(RunDirectory(run.path.rename(run.path.with_name("my run"))), s3).close()
    for name in ("my run", "my%20run"):
        assert from_storage(s3.uri(f"runs/{name}"), None, tmp_path / name, [], print) == ("auto", "my run")
    for name in ("a#b", "a?b", "a%20b"):
        with pytest.raises(UsageError, match="--storage takes no run whose name holds #, . or %"):
            Remote(s3.uri(), name)
    with pytest.raises(UsageError, match="what follows a # is no part of a place"):
        from_storage("s3://bucket/runs/a#b", None, tmp_path, [], print)
    with pytest.raises(UsageError, match="must be the name of a folder"):
        from_storage("s3://bucket/runs/..%2Fa", None, tmp_path, [], print)


def test_a_run_that_ends_at_any_moment_is_copied_to_its_end(run: RunDirectory, s3: S3) -> None:
    """What says that something is due is cleared at the very moment at which the run ends."""

    class EndsNow(threading.Event):
        def clear(self) -> None:
            if not mirror._over.is_set():
                run.finish({"status": "completed"})
                mirror._over.set()
                self.set()
            super().clear()

    mirror = Storage(Config(), run, Storage.Options(s3.uri(), 5.0))
    mirror._due = EndsNow()
    mirror.begin([])
    assert mirror._thread
    mirror._thread.join(5.0)
    assert not mirror._thread.is_alive()
    assert Remote(s3.uri(), run.path.name).read("summary.json")


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
