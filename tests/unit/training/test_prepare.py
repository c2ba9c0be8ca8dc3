"""What cannot be done is refused before anything starts, in one line that says what to type instead."""

import json
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file

from dist_alexnet.config import SynthConfig, UsageError
from dist_alexnet.data import synth
from dist_alexnet.model.layers import describe, parameter_shapes
from dist_alexnet.training import local_launcher
from dist_alexnet.training.checkpoint_files import folder_name
from dist_alexnet.training.job import RunDirectory
from dist_alexnet.training.prepare import Prepared, Request, prepare, prepare_evaluation

TINY = {
    "model": {
        "image_size": 36,
        "widths": {"conv1": 8, "conv2": 12, "conv3": 16, "conv4": 16, "conv5": 12, "fc6": 20, "fc7": 24},
    },
    "data": {"store_size": 40, "synth": {"classes": 4, "train": 40, "val": 8}},
    "train": {"global_batch": 16},
    "strategy": {"name": "channel_split"},
    "launch": {"name": "local", "device": "cpu"},
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of four classes."""
    folder = tmp_path_factory.mktemp("pictures") / "set"
    synth.write(folder, SynthConfig(classes=4, train=40, val=8))
    return folder


@pytest.fixture
def preset(tmp_path: Path) -> str:
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(TINY))
    return str(file)


def ask(tmp_path: Path, preset: str | None, *overrides: str, name: str | None = "x", resume: str | None = None) -> Prepared:
    return prepare(Request(preset, overrides, tmp_path / "runs", name, resume))


def test_a_run_that_can_start(tmp_path: Path, preset: str) -> None:
    prepared = ask(tmp_path, preset)
    config = prepared.job.config
    assert (config.launch.workers, config.launch.device, config.model.classes) == (2, "cpu", 4)
    assert (prepared.train_images, prepared.val_images, prepared.plan.rows) == (40, 8, [16, 16])
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
        ("launch.device=cuda", "2 ranks need 2 CUDA devices, but 0 are visible; type --device cpu"),
    ],
)
def test_wrong_requests(tmp_path: Path, preset: str, monkeypatch: pytest.MonkeyPatch, override: str, message: str) -> None:
    monkeypatch.setattr(local_launcher.LocalLauncher, "cuda_devices", lambda self: 0)
    with pytest.raises(UsageError, match=message) as error:
        ask(tmp_path, preset, override)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "runs" / "x").exists(), "nothing is left behind"


@pytest.mark.parametrize(("visible", "device"), [(0, "cpu"), (2, "cuda"), (4, "cuda")])
def test_auto_takes_cuda_where_it_is(tmp_path: Path, preset: str, monkeypatch: pytest.MonkeyPatch, visible: int, device: str) -> None:
    monkeypatch.setattr(local_launcher.LocalLauncher, "cuda_devices", lambda self: visible)
    assert ask(tmp_path, preset, "launch.device=auto").job.config.launch.device == device


def test_auto_refuses_some_but_too_few_devices(tmp_path: Path, preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_launcher.LocalLauncher, "cuda_devices", lambda self: 1)
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


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may grow."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_is_full_leaves_nothing_behind(tmp_path: Path, preset: str, pictures: Path, full_disk: None) -> None:
    with pytest.raises(UsageError, match="cannot write .*/runs/x: .*; type --output-dir"):
        ask(tmp_path, preset, f"data.path={pictures}")
    assert not (tmp_path / "runs" / "x").exists()


def test_a_disk_that_is_full_spoils_no_file(tmp_path: Path, full_disk: None) -> None:
    directory = RunDirectory(tmp_path)
    directory.create()
    with pytest.raises(UsageError, match="cannot write"):
        directory.begin("model: {}", "{}")
    assert not directory.config.exists()
    assert not directory.environment.exists()


@pytest.mark.parametrize("content", ["", "- 1", "model: {", "\udcff"])
def test_a_run_whose_configuration_is_broken(tmp_path: Path, preset: str, content: str) -> None:
    ask(tmp_path, preset).lock.close()
    (tmp_path / "runs" / "x" / "config.yaml").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(UsageError, match="x/config.yaml is empty or broken; type -c with the preset of that run"):
        ask(tmp_path, None, resume="auto")
    assert ask(tmp_path, preset, resume="auto")


def test_resume_needs_a_checkpoint_or_a_name(tmp_path: Path, preset: str) -> None:
    with pytest.raises(UsageError, match="--resume auto continues a run by its name; type --name"):
        ask(tmp_path, preset, name=None, resume="auto")
    with pytest.raises(UsageError, match="no complete checkpoint in"):
        ask(tmp_path, preset, resume=str(tmp_path))


def write_checkpoint(prepared: Prepared, step: int = 1, **config: dict[str, object]) -> Path:
    """A checkpoint of a run that has just been prepared, its network whole, with sections of its configuration changed."""
    checkpoint = prepared.job.directory.checkpoints / folder_name(step)
    checkpoint.mkdir(parents=True)
    saved = yaml.safe_load(prepared.job.directory.config.read_text())
    saved = {name: {**section, **config.get(name, {})} for name, section in saved.items()}
    classes = sorted(path.name for path in (prepared.job.data / "train").iterdir())
    state = {"step": step, "position": 16 * step, "config": saved, "classes": classes}
    (checkpoint / "state.json").write_text(json.dumps(state))
    shapes = parameter_shapes(describe(prepared.job.config.model))
    save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, checkpoint / "shard-0.safetensors")
    prepared.lock.close()
    return checkpoint


def test_resume_with_another_model_names_what_changed(tmp_path: Path, preset: str) -> None:
    checkpoint = write_checkpoint(ask(tmp_path, preset, name="old"))
    with pytest.raises(UsageError, match="the model section is not that of step-00000001 .*model.lrn: paper -> code"):
        ask(tmp_path, None, "model.lrn=code", name="new", resume=str(checkpoint))
    (checkpoint / "shard-0.safetensors").unlink()
    with pytest.raises(UsageError, match="lacks conv1.weight: another network, or a file of it is missing"):
        ask(tmp_path, None, name="new", resume=str(checkpoint))


def test_resume_settles_anew_what_the_machine_decides(tmp_path: Path, preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    old = ask(tmp_path, preset, "launch.threads=7", "launch.address=far:1", "launch.timeout_s=9", "train.momentum=0", name="old")
    old.lock.close()
    monkeypatch.setattr(local_launcher.LocalLauncher, "cuda_devices", lambda self: 2)
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    without = ask(tmp_path, None, name="old", resume="auto")  # from config.yaml
    from_checkpoint = ask(tmp_path, None, name="new", resume=str(write_checkpoint(without)))
    for prepared in (without, from_checkpoint):
        launch = prepared.job.config.launch
        assert (launch.name, launch.workers, launch.timeout_s) == ("local", 2, 9), "these are kept"
        assert (launch.device, launch.threads, launch.address) == ("cuda", 3, None)
    typed = ask(tmp_path, None, "launch.device=cpu", "launch.threads=1", name="typed", resume=str(old.job.directory.path))
    assert (typed.job.config.launch.device, typed.job.config.launch.threads) == ("cpu", 1)
    as_written = ask(tmp_path, str(old.job.directory.config), name="written")
    assert as_written.job.config.launch.threads == 3, "config.yaml of `without`, given as a preset"


@pytest.mark.parametrize(
    ("limits", "advice"),
    [
        (["train.max_steps=2"], "type more --max-steps than 2 to go on"),
        (["train.max_steps=9", "train.epochs=0.5"], "type more --epochs than 0.5 to go on"),
        (["train.max_steps=2", "train.epochs=0.5"], "type more --epochs than 0.5 and more --max-steps than 2 to go on"),
    ],
)
def test_the_end_of_a_run_names_the_limits_that_were_reached(tmp_path: Path, preset: str, limits: list[str], advice: str) -> None:
    checkpoint = write_checkpoint(ask(tmp_path, preset, "train.momentum=0", name="old"), step=2)
    with pytest.raises(UsageError, match=rf"end of its run \(step 2, epoch 0.80\); {advice}"):
        ask(tmp_path, None, *limits, name="new", resume=str(checkpoint))


def test_momentum_cannot_begin_in_the_middle(tmp_path: Path, preset: str) -> None:
    checkpoint = write_checkpoint(ask(tmp_path, preset, "train.momentum=0", name="old"))
    with pytest.raises(UsageError, match="train.momentum=0.5, but step-00000001 .* under train.momentum=0 .*; type train.momentum=0"):
        ask(tmp_path, None, "train.momentum=0.5", name="new", resume=str(checkpoint))


def test_a_run_does_not_go_back_to_an_older_checkpoint_of_its_own(tmp_path: Path, preset: str) -> None:
    prepared = ask(tmp_path, preset, "train.momentum=0")
    older, newer = (write_checkpoint(prepared, step) for step in (1, 2))
    with pytest.raises(UsageError, match="x has newer checkpoints than step-00000001; type another --name to branch off there"):
        ask(tmp_path, None, resume=str(older))
    assert ask(tmp_path, None, resume=str(newer)).job.resume == newer


def test_one_class_is_too_few(tmp_path: Path, preset: str, pictures: Path) -> None:
    for part in ("train", "val"):
        shutil.copytree(pictures / part / "disc", tmp_path / "set" / part / "disc")
    with pytest.raises(UsageError, match=r"set has 1 class \(disc\), which leaves nothing to tell apart; type --data with 2 or more"):
        ask(tmp_path, preset, f"data.path={tmp_path / 'set'}", "train.global_batch=4")


@pytest.mark.parametrize("folder", ["runs/old/checkpoints/step-00000001", "copied"])
def test_evaluation_generates_images_where_training_would(
    tmp_path: Path, preset: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    prepared = ask(tmp_path, preset, name="old")
    checkpoint = write_checkpoint(prepared)
    if folder == "copied":
        shutil.copytree(checkpoint, tmp_path / folder)
    typed = ["strategy.name=single", "launch.workers=1"]
    job, _ = prepare_evaluation(tmp_path / folder, typed, RunDirectory(tmp_path / "evaluation"))
    assert job.data == prepared.job.data
