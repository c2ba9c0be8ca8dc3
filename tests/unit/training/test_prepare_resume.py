"""What can be resumed, and what is refused in one line."""

import json
from pathlib import Path

import pytest
import yaml

from dist_alexnet.config import UsageError
from dist_alexnet.data.load.crops import Crops
from dist_alexnet.data.prepare.averages import compute
from dist_alexnet.data.sets.open import open_split
from dist_alexnet.data.statistics import write_statistics
from dist_alexnet.launch import local
from tests.unit.asking import ask, write_checkpoint


@pytest.mark.parametrize("content", ["", "- 1", "model: {", "\udcff"])
def test_a_run_whose_configuration_is_broken(tmp_path: Path, preset: str, content: str) -> None:
    ask(tmp_path, preset).lock.close()
    (tmp_path / "runs" / "x" / "config.yaml").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(UsageError, match="x/config.yaml is empty or broken; type -c with the preset of that run"):
        ask(tmp_path, None, resume="auto")
    assert ask(tmp_path, preset, resume="auto")


def test_what_a_run_was_configured_with_is_read_as_it_was_typed(tmp_path: Path, preset: str) -> None:
    """YAML 1.1 takes 2e-05 for text and 0o17 for a word."""
    typed = ["train.lr=2e-05", "train.weight_decay=1e-7"]
    started = ask(tmp_path, preset, *typed)
    started.lock.close()
    train = ask(tmp_path, None, resume="auto").job.config.train
    assert (train.lr, train.weight_decay) == (2e-05, 1e-7)
    assert train == started.job.config.train


def test_resume_needs_a_checkpoint_or_a_name(tmp_path: Path, preset: str) -> None:
    with pytest.raises(UsageError, match="--resume auto continues a run by its name; type --name"):
        ask(tmp_path, preset, name=None, resume="auto")
    with pytest.raises(UsageError, match="no complete checkpoint in"):
        ask(tmp_path, preset, resume=str(tmp_path))


def test_resume_with_another_model_names_what_changed(tmp_path: Path, preset: str) -> None:
    checkpoint = write_checkpoint(ask(tmp_path, preset, name="old"))
    with pytest.raises(UsageError, match="the model section is not that of step-00000001 .*model.lrn: paper -> code"):
        ask(tmp_path, None, "model.lrn=code", name="new", resume=str(checkpoint))
    ask(tmp_path, None, "model.init=code", name="init", resume=str(checkpoint)).lock.close()  # there are weights already
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(UsageError, match="model.safetensors cannot be read"):
        ask(tmp_path, None, name="new", resume=str(checkpoint))


def test_resume_settles_anew_what_the_machine_decides(tmp_path: Path, preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    there = yaml.safe_load(Path(preset).read_text())
    there["launch"] |= {"threads": 7, "timeout_s": 9, "address": "far:1"}
    Path(preset).write_text(yaml.safe_dump(there))
    old = ask(tmp_path, preset, "data.threads=5", "train.momentum=0", name="old")
    old.lock.close()
    monkeypatch.setattr(local.LocalLauncher, "cuda_devices", lambda self: 2)
    without = ask(tmp_path, None, name="old", resume="auto")  # from config.yaml
    from_checkpoint = ask(tmp_path, None, name="new", resume=str(write_checkpoint(without)))
    for prepared in (without, from_checkpoint):
        launch = prepared.job.config.launch
        assert (launch.name, launch.workers, launch.timeout_s) == ("local", 2, 9), "these are kept"
        assert (launch.device, launch.threads, launch.address) == ("cuda", 0, None), "each node says how many threads"
        assert prepared.job.config.data.threads == 0
    typed = ask(tmp_path, None, "launch.device=cpu", "launch.threads=1", name="typed", resume=str(old.job.directory.path))
    assert (typed.job.config.launch.device, typed.job.config.launch.threads) == ("cpu", 1)


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
    ask(tmp_path, None, *limits, name="validates", resume=str(checkpoint)).lock.close()  # it was stopped inside its last validation
    state = json.loads((checkpoint / "state.json").read_text())
    (checkpoint / "state.json").write_text(json.dumps({**state, "validated_at": state["position"]}))
    with pytest.raises(UsageError, match=rf"end of its run \(step 2, epoch 0.80\); {advice}"):
        ask(tmp_path, None, *limits, name="new", resume=str(checkpoint))


def test_a_run_does_not_go_on_with_another_mean(tmp_path: Path, preset: str) -> None:
    prepared = ask(tmp_path, preset, "train.momentum=0", name="old")
    checkpoint = write_checkpoint(prepared)
    state = json.loads((checkpoint / "state.json").read_text())
    train = open_split(prepared.job.data, "train")
    subtracted = Crops.of(prepared.job.config.data, train, prepared.job.config.model.image_size).subtracted
    (checkpoint / "state.json").write_text(json.dumps({**state, "subtracted": subtracted}))
    ask(tmp_path, None, name="same", resume=str(checkpoint)).lock.close()
    write_statistics(prepared.job.data, compute(prepared.job.data, 40, 1, lambda done, total: None)[0])
    with pytest.raises(
        UsageError, match="was trained with a mean of each colour .* but now it is a mean of each pixel .*; train on the data as"
    ):
        ask(tmp_path, None, name="new", resume=str(checkpoint))
    ask(tmp_path, None, "data.statistics=authors", name="authors", resume=str(checkpoint)).lock.close()


def test_another_number_of_images_is_said(tmp_path: Path, preset: str) -> None:
    checkpoint = write_checkpoint(prepared := ask(tmp_path, preset, "train.momentum=0", name="old"))
    state = json.loads((checkpoint / "state.json").read_text())
    for then, notes in ((prepared.train_images, []), (39, ["training images: 39 -> 40, which come in another order from here on"])):
        (checkpoint / "state.json").write_text(json.dumps({**state, "train_images": then}))
        resumed = ask(tmp_path, None, name=f"of-{then}", resume=str(checkpoint))
        resumed.lock.close()
        assert [note for note in resumed.notes if "images" in note] == [f"not as in {checkpoint.name}: {note}" for note in notes]


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


def test_auto_says_that_there_is_nothing_to_resume(tmp_path: Path, preset: str) -> None:
    started = ask(tmp_path, preset, name="first", resume="auto")
    assert started.notes == ["nothing to resume: no run is called first here, so this is a new one"]
    started.lock.close()
    mistyped = ask(tmp_path, preset, name="fisrt", resume="auto")
    assert mistyped.notes[0].endswith("so this is a new one; there are first; did you mean 'first'?")
    again = ask(tmp_path, None, name="first", resume="auto")
    assert again.notes == ["first has no checkpoint yet: it starts at step 0, with the settings that it had unless you type others"]


def test_auto_falls_back_on_the_newest_whole_checkpoint(tmp_path: Path, preset: str) -> None:
    prepared = ask(tmp_path, preset)
    older, newer = (write_checkpoint(prepared, step) for step in (1, 2))
    (newer / "model.safetensors").write_bytes(b"")
    resumed = ask(tmp_path, None, resume="auto")
    assert resumed.job.resume == older
    assert resumed.notes[0].endswith(": falling back on step-00000001")
    assert "step-00000002/model.safetensors is not as it was written" in resumed.notes[0]
    resumed.lock.close()
    (older / "state.json").write_text("")
    newer.joinpath("state.json").write_text("")
    with pytest.raises(UsageError, match="no checkpoint of x is whole .*; type another --name, or move .*checkpoints away"):
        ask(tmp_path, None, resume="auto")


def test_what_differs_from_the_run_is_said_and_the_old_settings_stay(tmp_path: Path, preset: str) -> None:
    write_checkpoint(ask(tmp_path, preset, "train.lr=0.02", "strategy.options.fc8=first"))
    config = tmp_path / "runs" / "x" / "config.yaml"
    before = config.read_text()
    same = ask(tmp_path, None, "launch.threads=1", resume="auto")
    assert same.notes == []
    same.lock.close()
    assert not config.with_name("config-2.yaml").exists()
    resumed = ask(tmp_path, preset, "train.seed=5", resume="auto")
    assert resumed.notes == [
        f"not as in step-00000001: {change}"
        for change in ("train.seed: 0 -> 5", "train.lr: 0.02 -> 0.01", "strategy.options.fc8: first -> split")
    ]
    assert before in [path.read_text() for path in config.parent.glob("config-*.yaml")]
    assert yaml.safe_load(config.read_text())["train"]["lr"] == 0.01


def test_a_run_is_stored_so_that_it_resumes_from_anywhere(tmp_path: Path, preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = ask(tmp_path, preset, name="old").job.data
    monkeypatch.chdir(data.parent)
    checkpoint = write_checkpoint(ask(tmp_path, preset, f"data.path={data.name}"))
    stored = json.loads((checkpoint / "state.json").read_text())["config"]
    assert stored["data"]["path"] == str(data)
    assert stored["strategy"]["options"] == {"fc8": "split", "wire": "full", "overlap": True}, "also those that were not typed"
    monkeypatch.chdir(tmp_path)
    assert ask(tmp_path, None, resume="auto").job.data == data


def test_settings_of_another_version_are_not_laid_to_the_person(tmp_path: Path, preset: str) -> None:
    checkpoint = write_checkpoint(ask(tmp_path, preset), train={"old_setting": 3})
    with pytest.raises(
        UsageError, match="state.json was written by dist-alexnet 0.1.0, with settings .*old_setting.*; install that version"
    ):
        ask(tmp_path, None, name="new", resume=str(checkpoint))
    anew = ask(tmp_path, preset, name="new", resume=str(checkpoint))
    assert "not as in step-00000001: train.old_setting: 3 -> not set" in anew.notes


def test_a_run_that_is_reached_by_a_link_is_the_same_run(tmp_path: Path, preset: str) -> None:
    checkpoint = write_checkpoint(ask(tmp_path, preset))
    (tmp_path / "link").symlink_to(tmp_path / "runs" / "x")
    assert ask(tmp_path, None, resume=str(tmp_path / "link" / "checkpoints" / checkpoint.name)).job.resume


def test_checkpoints_that_are_a_file(tmp_path: Path, preset: str) -> None:
    ask(tmp_path, preset).lock.close()
    (tmp_path / "runs" / "x" / "checkpoints").touch()
    with pytest.raises(UsageError, match="cannot look for checkpoints in .*x/checkpoints: Not a directory"):
        ask(tmp_path, None, resume="auto")
