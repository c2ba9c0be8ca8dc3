"""What can be resumed, and what is refused in one line."""

import json
from pathlib import Path

import pytest
import yaml

from dist_alexnet.config import UsageError
from dist_alexnet.data.crops import Crops
from dist_alexnet.data.image_set import open_split
from dist_alexnet.data.statistics import write_statistics
from dist_alexnet.data.stats import compute
from dist_alexnet.training import local_launcher
from tests.unit.training.asking import ask, write_checkpoint


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


def test_resume_with_another_model_names_what_changed(tmp_path: Path, preset: str) -> None:
    checkpoint = write_checkpoint(ask(tmp_path, preset, name="old"))
    with pytest.raises(UsageError, match="the model section is not that of step-00000001 .*model.lrn: paper -> code"):
        ask(tmp_path, None, "model.lrn=code", name="new", resume=str(checkpoint))
    (checkpoint / "shard-0.safetensors").unlink()
    with pytest.raises(UsageError, match="lacks conv1.weight: another network, or a file of it is missing"):
        ask(tmp_path, None, name="new", resume=str(checkpoint))


def test_resume_settles_anew_what_the_machine_decides(tmp_path: Path, preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    there = yaml.safe_load(Path(preset).read_text())
    there["launch"] |= {"threads": 7, "timeout_s": 9, "address": "far:1"}
    Path(preset).write_text(yaml.safe_dump(there))
    old = ask(tmp_path, preset, "data.threads=5", "train.momentum=0", name="old")
    old.lock.close()
    monkeypatch.setattr(local_launcher.LocalLauncher, "cuda_devices", lambda self: 2)
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    without = ask(tmp_path, None, name="old", resume="auto")  # from config.yaml
    from_checkpoint = ask(tmp_path, None, name="new", resume=str(write_checkpoint(without)))
    for prepared in (without, from_checkpoint):
        launch = prepared.job.config.launch
        assert (launch.name, launch.workers, launch.timeout_s) == ("local", 2, 9), "these are kept"
        assert (launch.device, launch.threads, launch.address) == ("cuda", 3, None)
        assert prepared.job.config.data.threads == 3, "on a GPU as many as the rank has"
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
