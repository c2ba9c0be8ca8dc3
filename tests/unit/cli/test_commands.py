"""The commands that start nothing, as a person types them."""

import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

import dist_alexnet
from dist_alexnet.cli import evaluate, explain, options, train
from dist_alexnet.cli.screen.progress import progress_bar
from dist_alexnet.config import Config
from dist_alexnet.resolve import resolve
from tests.unit.cli.calling import call


def test_help_is_quick_because_it_imports_nothing_heavy() -> None:
    code = "import sys, dist_alexnet.cli.app; print([m for m in ('torch', 'ray', 'nvidia', 'numpy', 'pyarrow') if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "command", ["", "train", "eval", "explain", "verify", "data", "data synth", "data prepare", "data stats", "data bench", "config show"]
)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert call([*command.split(), "--help"], capsys, monkeypatch)[0] == 0


@pytest.mark.parametrize(
    ("command", "said", "unsaid"),
    [
        ("train", "Preset (alexnet_2012, quickstart), or YAML file.", ""),
        ("config show", "Preset (alexnet_2012, quickstart), or YAML file.", ""),
        ("eval", "Images per batch over all ranks.", "optimizer step"),
        ("train", "Images per optimizer step over all ranks.", ""),
    ],
)
def test_help_says_it(command: str, said: str, unsaid: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")  # a line for each option
    text = call([*command.split(), "--help"], capsys, monkeypatch)[1]
    assert said in text
    assert not unsaid or unsaid not in text


def test_a_traceback_of_the_program_fails_whatever_test_sees_it() -> None:
    with pytest.raises(AssertionError, match="ArithmeticError"):
        subprocess.run([sys.executable, "-c", "import dist_alexnet; raise ArithmeticError"], capture_output=True, check=False)


@pytest.mark.parametrize("command", [train.train, evaluate.evaluate, explain.explain])
def test_every_flag_that_is_a_setting_arrives(command: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Mapping[str, object]] = []

    def catch(parameters: Mapping[str, object]) -> list[str]:
        given.append(dict(parameters))
        raise InterruptedError

    monkeypatch.setattr(options, "as_overrides", catch)
    typed = {"arguments": ["x", "train.seed=7"]} if command is evaluate.evaluate else {"overrides": ["train.seed=7"]}
    with pytest.raises(InterruptedError):
        command(gpus=3, batch=6, **typed)
    flags = {name for name in inspect.signature(command).parameters if name in options.KEYS}
    assert {"strategy", "gpus", "batch", "overrides"} | flags <= given[0].keys()
    monkeypatch.undo()
    overrides = options.as_overrides(given[0])
    assert {"launch.workers=3", "train.global_batch=6"} < set(overrides)
    assert overrides[-1] == "train.seed=7"


def test_flags_are_settings() -> None:
    parameters = dict.fromkeys(options.KEYS, 1) | {
        "overrides": None,
        "device": "cpu",
        "precision": "bf16",
        "data": Path("1"),
        "strategy": "ddp",
        "launcher": "local",
    }
    config = resolve({}, options.as_overrides(parameters))
    assert (config.launch.workers, config.train.global_batch, config.data.path) == (1, 1, "1")
    assert config.observers == {"prometheus": {"port": "1", "host": "1"}, "storage": {"uri": "1"}}


def test_a_flag_asks_for_an_observer_as_it_comes() -> None:
    assert resolve({}, options.as_overrides({"overrides": None, "tensorboard": True})).observers == {"tensorboard": "{}"}
    assert resolve({}, options.as_overrides({"overrides": None, "tensorboard": False})).observers == {}


def test_version(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(["--version"], capsys, monkeypatch) == (0, f"dist-alexnet {dist_alexnet.__version__}\n", "")


def test_a_file_that_may_not_be_read_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise PermissionError(13, "Permission denied", "/theirs/x")

    monkeypatch.setattr("dist_alexnet.settings.presets.read_preset", refuse)
    told = "error: /theirs/x: Permission denied; name another, or have its owner let you in\n"
    assert call(["config", "show"], capsys, monkeypatch) == (2, "", told)


def test_config_show_reads_back(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml

    code, out, _ = call(["config", "show", "train.lr=0.25"], capsys, monkeypatch)
    config = resolve(yaml.safe_load(out), [])
    assert code == 0
    assert isinstance(config, Config)
    assert (config.train.lr, config.data.augment.color) == (0.25, "paper")


def test_data_synth_and_prepare(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, store = str(tmp_path / "pictures"), str(tmp_path / "store")
    assert call(["data", "synth", pictures, "--classes", "3", "--train", "9", "--val", "3"], capsys, monkeypatch)[0] == 0
    code, out, _ = call(["data", "prepare", pictures, store, "--size", "40", "--workers", "1"], capsys, monkeypatch)
    assert (code, out) == (0, f"{store}: 9 training and 3 validation images\n")
    assert call(["data", "synth", pictures], capsys, monkeypatch)[0] == 2


def test_where_there_is_no_terminal_progress_is_told_in_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([0, 10, 31, 100, 120, 140])
    monkeypatch.setattr("dist_alexnet.cli.screen.progress.time", SimpleNamespace(monotonic=lambda: next(seconds)))  # of nobody else
    with progress_bar("preparing") as tell:
        for found in (100, 200, 1_281_000):
            tell(found, None)
        for done in (50, 1000, 1250):
            tell(done, 3650)
    lines = [
        "looking for photographs ...",
        "looking for photographs: 1,281,000",
        "preparing ...",
        "preparing: 1,250 of 3,650, 30 images/s, 80 s left",
    ]
    assert capsys.readouterr().err.splitlines() == lines


def test_a_terminal_shows_how_many_photographs_are_found(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # which makes rich take anything for a terminal
    with progress_bar("preparing") as tell:
        tell(1_281_000, None)
    assert re.search(r"looking for photographs .*1281000/\?", capsys.readouterr().err.replace("\x1b", ""))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["synth", "--seed", "-1"], "data.synth.seed=-1: must be from 0 to"),
        (["synth", "--classes", "0"], "data.synth.classes=0: must be from 2 to 1,000"),
        (["synth", "--train", "0"], "data.synth.train=0: must be positive"),
        (["synth", "--val", "-1"], "data.synth.val=-1: must be positive"),
        (["prepare", "SOURCE", "--workers", "-3"], "--workers -3: must be from 1 to"),
        (["prepare", "SOURCE", "--workers", "0"], "--workers 0: must be from 1 to"),
        (["prepare", "SOURCE", "--quality", "500"], "--quality 500: must be from 1 to 95"),
        (["prepare", "SOURCE", "--size", "0"], "--size 0: must be from 1 to 65,500"),
    ],
)
def test_numbers_that_make_no_sense_write_nothing(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [argument.replace("SOURCE", str(tmp_path)) for argument in arguments]
    code, out, err = call(["data", *given, str(tmp_path / "deep" / "set")], capsys, monkeypatch)
    assert (code, out, list(tmp_path.iterdir())) == (2, "", [])
    *said, error = err.splitlines()
    assert error.startswith(f"error: {message}")
    assert all(line.endswith(": loading PyTorch") for line in said)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["explain", "--strategy", "dpd"], "unknown strategy 'dpd'; did you mean 'ddp'?"),
        (["explain", "-c", "quikstart"], "did you mean 'quickstart'?"),
        (["explain", "model.towerz=2"], "Did you mean: 'towers'?"),
        (["explain", "--gpus", "3"], "type --gpus 2, or --strategy ddp to stay with 3"),
        (["explain", "--strategy", "ddp", "--gpus", "8", "-b", "7"], "type -b 8 or more, or fewer --gpus"),
        (["explain", "model.towers=1"], "type model.towers=2, or another --strategy"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = call(arguments, capsys, monkeypatch)
    assert (code, out) == (2, "")
    *said, error = err.splitlines()
    assert error.startswith("error: ")
    assert message in error
    assert all(line.endswith(": loading PyTorch") for line in said)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["train", "--data", ""], "--data"),
        (["train", "--data="], "--data"),
        (["train", "-c", ""], "-c"),
        (["train", "--name", ""], "--name"),
        (["eval", ""], "an argument"),
        (["data", "verify", ""], "an argument"),
    ],
)
def test_what_is_empty_is_refused(
    arguments: list[str], what: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a variable of the shell that is not set leaves it; once it trained on generated images, or read the working directory."""
    code, out, err = call(arguments, capsys, monkeypatch)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {what} is empty; type a value, or leave it out")


def test_the_home_folder_is_meant_after_an_equals_sign_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.yaml").write_text("train: {seed: 3}")
    code, out, _ = call(["config", "show", "--config=~/mine.yaml", "data.path=~/images"], capsys, monkeypatch)
    assert code == 0
    assert "  seed: 3\n" in out
    assert f"  path: {tmp_path}/images\n" in out
    assert call(["explain", "--format=json", "--out=~/plan.json"], capsys, monkeypatch)[0] == 0
    assert (tmp_path / "plan.json").exists()
