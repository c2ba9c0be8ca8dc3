"""What cannot be done is refused before anything starts, in one line that says what to type instead."""

import shutil
from pathlib import Path

import pytest
import yaml

from dist_alexnet.config import SynthConfig, UsageError
from dist_alexnet.data.synth import synth
from dist_alexnet.launch import local
from dist_alexnet.runs.directory import RunDirectory
from tests.unit.asking import ask
from tests.unit.full_disk import full_disk


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of four classes."""
    folder = tmp_path_factory.mktemp("pictures") / "set"
    synth.write(folder, SynthConfig(classes=4, train=40, val=8))
    return folder


def test_a_run_that_can_start(tmp_path: Path, preset: str) -> None:
    prepared = ask(tmp_path, preset)
    config = prepared.job.config
    assert (config.launch.workers, config.launch.device, config.model.classes) == (2, "cpu", 4)
    assert (prepared.train_images, prepared.val_images, prepared.layout.rows) == (40, 8, [16, 16])
    assert yaml.safe_load(prepared.job.directory.config.read_text())["model"]["classes"] == 4
    assert prepared.job.data.is_relative_to(tmp_path / "runs")


def test_without_a_preset_the_data_decide(tmp_path: Path, pictures: Path) -> None:
    assert ask(tmp_path, None, "launch.name=local", "data.synth.train=64", "data.synth.val=10").source.startswith("quickstart")
    given = ask(tmp_path, None, "launch.name=local", f"data.path={pictures}", "train.global_batch=8", name="y")
    assert given.source.startswith("alexnet_2012")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("strategy.name=chanel_split", "unknown strategy 'chanel_split'; did you mean 'channel_split'"),
        ("launch.name=slurm", "unknown launcher 'slurm'.*installed: local, ray"),
        ("launch.workers=1", "each of 2 ranks, but --gpus is 1; type --gpus 2, or --strategy single"),
        ("launch.workers=3", "each of 2 ranks, but --gpus is 3; type --gpus 2, or --strategy ddp"),
        ("model.towers=1", "one tower on each rank, but model.towers=1; type model.towers=2"),
        ("train.accumulation=17", "train.accumulation=17 cuts 16 rows per rank.*type train.accumulation=16 or less"),
        ("train.global_batch=41", "has 40 training images, fewer than one batch of 41; type -b 40 or less"),
        ("data.path=/no/such/folder", "there is no such folder"),
        ("model.classes=5", "model.classes=5, but .* has 4 classes; type model.classes=null"),
        ("data.store_size=30", "store_size=30"),
        ("train.precision=tf32", "tf32 is rounding of CUDA devices, and this is on the CPU; type train.precision=fp32 or bf16"),
        ("launch.device=cuda", "2 ranks need 2 CUDA devices, but 0 are visible; type --device cpu"),
    ],
)
def test_wrong_requests(tmp_path: Path, preset: str, monkeypatch: pytest.MonkeyPatch, override: str, message: str) -> None:
    monkeypatch.setattr(local.LocalLauncher, "cuda_devices", lambda self: 0)
    with pytest.raises(UsageError, match=message) as error:
        ask(tmp_path, preset, override)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "runs" / "x").exists(), "nothing is left behind"


@pytest.mark.parametrize(("visible", "device"), [(0, "cpu"), (2, "cuda"), (4, "cuda")])
def test_auto_takes_cuda_where_it_is(tmp_path: Path, preset: str, monkeypatch: pytest.MonkeyPatch, visible: int, device: str) -> None:
    monkeypatch.setattr(local.LocalLauncher, "cuda_devices", lambda self: visible)
    assert ask(tmp_path, preset, "launch.device=auto").job.config.launch.device == device


def test_auto_refuses_some_but_too_few_devices(tmp_path: Path, preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local.LocalLauncher, "cuda_devices", lambda self: 1)
    with pytest.raises(
        UsageError, match="need 2 CUDA devices, but 1 are visible; type --gpus 1, --share-device to show correctness, or --device"
    ):
        ask(tmp_path, preset, "launch.device=auto")


def damage(folder: Path, how: str) -> None:
    """One fault of the layout of a data set."""
    if how == "one class":
        for image in list(folder.glob("*/*/*.jpg")):
            image.rename(image.parents[1] / "disc" / f"{image.parent.name}-{image.name}")
        for other in [path for path in folder.glob("*/*") if path.is_dir() and path.name != "disc"]:
            other.rmdir()
    elif how == "no train":
        shutil.rmtree(folder / "train")
    elif how == "no val":
        shutil.rmtree(folder / "val")
    elif how == "empty":
        shutil.rmtree(folder)
        folder.mkdir()
    elif how == "flat val":
        for image in list((folder / "val").glob("*/*")):
            image.rename(folder / "val" / f"{image.parent.name}-{image.name}")
        for sub in [path for path in (folder / "val").iterdir() if path.is_dir()]:
            sub.rmdir()
    elif how == "class only in val":
        (folder / "val" / "disc").rename(folder / "val" / "unicorn")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("one class", r"has 1 class \(disc\), which leaves nothing to tell apart"),
        ("no train", "it has no train/"),
        ("no val", "it has no val/"),
        ("empty", "it has no train/"),
        ("flat val", "val"),
        ("class only in val", "unicorn"),
    ],
)
def test_faulty_data_sets(tmp_path: Path, preset: str, pictures: Path, how: str, message: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(pictures, copy)
    damage(copy, how)
    with pytest.raises(UsageError, match=message) as error:
        ask(tmp_path, preset, f"data.path={copy}")
    assert "\n" not in str(error.value)


def test_a_name_that_exists_is_not_overwritten(tmp_path: Path, preset: str) -> None:
    (tmp_path / "runs" / "x").mkdir(parents=True)
    with pytest.raises(UsageError, match="exists and nothing is overwritten; type another --name, or --resume auto"):
        ask(tmp_path, preset)


@pytest.mark.parametrize("name", ["a/b", "..", "../x", "a/../b", ".data", ".x", "-x", "", "a\nb", "a\x1b[1m", "x" * 256, "\u00e9" * 128])
@pytest.mark.parametrize("resume", [None, "auto"])
def test_a_name_is_one_folder(tmp_path: Path, preset: str, name: str, resume: str | None) -> None:
    with pytest.raises(UsageError, match="must be the name of a folder, without slashes") as error:
        ask(tmp_path, preset, name=name, resume=resume)
    assert str(error.value).isprintable()
    assert not (tmp_path / "runs").exists()


def test_two_processes_cannot_write_one_run(tmp_path: Path, preset: str) -> None:
    first = ask(tmp_path, preset)
    records = (first.job.directory.stop_request, first.job.directory.error(0))
    for record in records:
        record.touch()
    with pytest.raises(UsageError, match="another process is training in"):
        ask(tmp_path, preset, resume="auto")
    assert all(record.exists() for record in records), "they are of the run that goes on"
    first.lock.close()
    assert ask(tmp_path, preset, resume="auto").job.resume is None


def test_an_output_directory_that_is_a_file(tmp_path: Path, preset: str, pictures: Path) -> None:
    (tmp_path / "runs").write_text("")
    for overrides in ([f"data.path={pictures}"], []):
        with pytest.raises(UsageError, match="cannot write .* type --output-dir"):
            ask(tmp_path, preset, *overrides)


def test_a_disk_that_is_full_leaves_nothing_behind(tmp_path: Path, preset: str, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "check_ranks", lambda: None)  # for which shared memory is a file too
    with full_disk(), pytest.raises(UsageError, match="cannot write .*/runs/x: .*; make room, or type --output-dir"):
        ask(tmp_path, preset, f"data.path={pictures}")
    assert not (tmp_path / "runs" / "x").exists()


def test_a_disk_that_is_full_spoils_no_file(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    directory.create()
    with full_disk(), pytest.raises(UsageError, match="cannot write"):
        directory.begin("model: {}", "{}")
    assert not directory.config.exists()
    assert not directory.environment.exists()


def test_one_class_is_too_few(tmp_path: Path, preset: str, pictures: Path) -> None:
    for part in ("train", "val"):
        shutil.copytree(pictures / part / "disc", tmp_path / "set" / part / "disc")
    with pytest.raises(UsageError, match=r"set has 1 class \(disc\), which leaves nothing to tell apart; type --data with 2 or more"):
        ask(tmp_path, preset, f"data.path={tmp_path / 'set'}", "train.global_batch=4")
