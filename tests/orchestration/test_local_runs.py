"""Whole runs through the program and the local launcher: to the end, killed, stopped, resumed, failing."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dist_alexnet.telemetry.clock import PHASES
from tests.orchestration.runs import ranks_of

Command = Callable[..., "subprocess.CompletedProcess[str]"]
END = "step-00000012"  # 96 images, batch 16, 2 epochs


def tensors(run: Path, checkpoint: str = END) -> dict[str, torch.Tensor]:
    """Weights and momentum of a checkpoint."""
    folder = run / "checkpoints" / checkpoint
    return load_file(folder / "model.safetensors") | load_file(folder / "optimizer" / "momentum.safetensors")


def records(run: Path, kind: str) -> list[dict[str, object]]:
    found = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [record for record in found if record["kind"] == kind]


def start_and_wait_for_step(workplace: Path, name: str, step: int, *arguments: str) -> "subprocess.Popen[str]":
    """Start a run in the background and return once it has logged a step."""
    command = [sys.executable, "-m", "dist_alexnet", "train", "-c", "tiny.yaml", "--name", name, *arguments]
    run = subprocess.Popen(command, cwd=workplace, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    metrics = workplace / "runs" / name / "metrics.jsonl"
    for _ in range(1200):
        if metrics.exists() and f'"step": {step},' in metrics.read_text():
            return run
        assert run.poll() is None, run.communicate()[0]
        time.sleep(0.05)
    raise AssertionError(f"{name} has not come to step {step}")


@pytest.fixture(scope="module")
def whole(dist_alexnet: Command, workplace: Path) -> Path:
    """A run that nothing disturbed."""
    result = dist_alexnet("train", "-c", "tiny.yaml", "--name", "whole")
    assert result.returncode == 0, result.stderr
    assert "channel_split on 2 cpu rank(s): completed" in result.stdout
    first, *drawing = result.stderr.splitlines()
    assert (first, set(drawing) - {"drawing 118 images"}) == ("channel_split, tiny.yaml: loading PyTorch", set())
    return workplace / "runs" / "whole"


def test_a_run_leaves_everything_that_describes_it(whole: Path) -> None:
    assert {path.name for path in whole.iterdir()} >= {"config.yaml", "env.json", "metrics.jsonl", "summary.json", "logs", "checkpoints"}
    assert {path.name for path in (whole / "logs").iterdir()} == {"rank_0.log", "rank_1.log"}
    summary = json.loads((whole / "summary.json").read_text())
    expected = {"strategy": "channel_split", "world_size": 2, "device": "cpu", "global_batch_size": 16, "steps": 12, "images": 192}
    assert {key: summary[key] for key in expected} == expected
    assert summary["val"]["images"] == 22
    assert tuple(summary["phase_seconds"]) == PHASES
    assert set(summary["exchange_bytes_per_step"]) == {"conv3", "fc6", "fc7", "fc8", "loss"}
    for key in ("final_loss", "total_ips", "compute_ips", "peak_memory_bytes", "wall_seconds"):
        assert summary[key] > 0
    assert [record["step"] for record in records(whole, "train")] == list(range(1, 13))
    assert [record["step"] for record in records(whole, "val")] == [6, 12]
    assert "torch" in json.loads((whole / "env.json").read_text())["versions"]


def test_bytes_counted_in_a_run_are_those_that_explain_prints(whole: Path, dist_alexnet: Command) -> None:
    described = json.loads(dist_alexnet("explain", "-c", str(whole / "config.yaml"), "--json").stdout)
    assert json.loads((whole / "summary.json").read_text())["exchange_bytes_per_step"] == described["exchange_bytes_per_step"]


def test_killed_and_resumed_it_ends_with_the_same_bits(dist_alexnet: Command, workplace: Path) -> None:
    run = start_and_wait_for_step(workplace, "killed", 4 + os.getpid() % 6, "train.epochs=1000")
    run.kill()
    run.communicate()
    time.sleep(1.5)  # until its ranks have noticed that they are orphans
    killed = workplace / "runs" / "killed"
    newest = max(int(path.name.removeprefix("step-")) for path in (killed / "checkpoints").glob("step-*"))
    end = ("--max-steps", str(newest + 5))
    resumed = dist_alexnet("train", "--name", "killed", "--resume", "auto", *end)
    assert resumed.returncode == 0, resumed.stderr
    assert f"resumed at step {newest}," in resumed.stdout
    unbroken = dist_alexnet("train", "-c", "tiny.yaml", "--name", "unbroken", "train.epochs=1000", *end)
    assert unbroken.returncode == 0, unbroken.stderr
    mine = tensors(killed, f"step-{newest + 5:08d}")
    for name, tensor in tensors(workplace / "runs" / "unbroken", f"step-{newest + 5:08d}").items():
        assert torch.equal(mine[name], tensor), name
    assert {record["attempt"] for record in records(killed, "start")} == {0, 1}


def test_a_second_signal_ends_ranks_that_hang(workplace: Path) -> None:
    run = start_and_wait_for_step(workplace, "hung", 4, "train.epochs=1000")
    os.kill(ranks_of(run)[0], signal.SIGSTOP)
    run.send_signal(signal.SIGINT)
    time.sleep(1)
    run.send_signal(signal.SIGINT)
    output = run.communicate(timeout=60)[0]
    assert run.returncode == 130
    assert "error: stopped at once; --resume auto goes back to the last checkpoint" in output


def test_saved_under_channel_split_and_resumed_under_ddp(whole: Path, dist_alexnet: Command, workplace: Path) -> None:
    middle = str(whole / "checkpoints" / "step-00000006")
    result = dist_alexnet("train", "--resume", middle, "--strategy", "ddp", "--gpus", "3", "--name", "moved")
    assert result.returncode == 0, result.stderr
    moved = tensors(workplace / "runs" / "moved")
    for name, tensor in tensors(whole).items():
        torch.testing.assert_close(moved[name], tensor, rtol=1e-4, atol=1e-6)


@pytest.mark.slow  # tests/ranks/test_checkpoints.py moves it between all pairs of layouts, without commands
def test_fc8_on_the_first_rank_saves_and_moves_too(dist_alexnet: Command, workplace: Path) -> None:
    """The first rank holds what the second does not, and then four ranks hold halves."""
    split = dist_alexnet("train", "-c", "tiny.yaml", "--name", "first", "strategy.options.fc8=first", "--json")
    assert split.returncode == 0, split.stderr
    moved = dist_alexnet("train", "--resume", "runs/first/checkpoints/step-00000009", "--strategy", "hybrid", "--name", "pairs", "--json")
    assert moved.returncode == 0, moved.stderr
    losses = [json.loads(result.stdout)["val"]["loss"] for result in (split, moved)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    evaluated = dist_alexnet("eval", "runs/first", "--json")
    assert json.loads(evaluated.stdout)["loss"] == pytest.approx(losses[0], rel=1e-5)


@pytest.mark.slow  # tests/ranks/test_evaluation.py has it without the command
def test_every_strategy_evaluates_every_checkpoint_alike(whole: Path, dist_alexnet: Command) -> None:
    expected = json.loads((whole / "summary.json").read_text())["val"]
    for arguments in (["--strategy", "single"], ["--strategy", "ddp", "--gpus", "4", "-b", "6"]):
        result = dist_alexnet("eval", str(whole), "--json", *arguments)
        assert result.returncode == 0, result.stderr
        found = json.loads(result.stdout)
        assert found["images"] == 22, "22 images in batches of 6 over 4 ranks: each is counted once"
        assert found["top1_error"] == expected["top1_error"]
        assert found["loss"] == pytest.approx(expected["loss"], rel=1e-5)


@pytest.mark.slow  # tests/unit/evaluation has the average, and test_archives_to_evaluation.py an evaluation
def test_an_average_of_checkpoints_with_files_on_classes(whole: Path, dist_alexnet: Command, workplace: Path) -> None:
    checkpoints = [str(whole / "checkpoints" / name) for name in ("step-00000003", END)]
    files = {option: workplace / f"{option.strip('-')}.csv" for option in ("--per-class", "--confusion")}
    arguments = [*checkpoints, "data.prefetch=1", *(str(part) for pair in files.items() for part in pair)]
    several = dist_alexnet("eval", *arguments, "--strategy", "ddp", "--gpus", "3", "-b", "10", "--json")
    assert several.returncode == 0, several.stderr
    result = json.loads(several.stdout)
    assert (result["checkpoints"], result["views"], result["images"], result["bad_images"]) == (checkpoints, "center", 22, 0)
    with files["--per-class"].open(newline="") as stream:
        classes = list(csv.DictReader(stream))
    assert sum(float(row["top1_error"]) * int(row["images"]) for row in classes) == pytest.approx(result["top1_error"] * 22)
    assert [row["class"] for row in classes] == [row["class"] for row in result["per_class"]]
    with files["--confusion"].open(newline="") as stream:
        assert sum(int(row["images"]) for row in csv.DictReader(stream)) == 22
    told = dist_alexnet("eval", *checkpoints, *arguments[-4:])
    assert told.stdout.splitlines()[2] == "average of 2 checkpoints, centre crop, 22 images"
    assert told.stdout.splitlines()[4] == "worst classes:"
    assert json.loads(dist_alexnet("eval", *checkpoints[:1], "--json").stdout)["loss"] != result["loss"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_evaluation_ends_at_the_first_signal(whole: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "dist_alexnet", "eval", str(whole)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not ranks_of(run):
        assert run.poll() is None, run.communicate()[1]
        time.sleep(0.01)
    os.killpg(run.pid, number)
    output, errors = run.communicate(timeout=60)
    lines = ["1 checkpoint(s): loading PyTorch", "evaluating on 22 images, 1 rank(s)", "error: stopped at once"]
    assert (run.returncode, output, errors.splitlines()) == (128 + number, "", lines)
    assert ranks_of(run) == []


def test_a_loss_that_is_no_number_stops_the_run_with_advice(dist_alexnet: Command, workplace: Path) -> None:
    result = dist_alexnet("train", "-c", "tiny.yaml", "--name", "nan", "train.lr=1e9", "--max-failures", "5")
    assert result.returncode == 1
    assert re.search(r"error: rank \d failed: the loss is (nan|inf) at step \d.*type a smaller train.lr", result.stderr)
    assert "Traceback" not in result.stderr
    run = workplace / "runs" / "nan"
    assert records(run, "restart") == [], "another attempt would end alike"
    whole = [path.read_text() for path in (run / "env.json", *run.glob("logs/*.error.json"), *run.glob("checkpoints/*/state.json"))]
    for text in (*whole, *(run / "metrics.jsonl").read_text().splitlines()):
        json.loads(text, parse_constant=pytest.fail)


@pytest.mark.slow  # test_attempts.py has a rank that sleeps
def test_a_stopped_rank_is_named_with_the_setting_and_does_not_hold_up_the_end(workplace: Path) -> None:
    run = start_and_wait_for_step(workplace, "silent", 2, "train.epochs=1000", "launch.timeout_s=5")
    os.kill(ranks_of(run)[-1], signal.SIGSTOP)
    output = run.communicate(timeout=60)[0]
    assert run.returncode == 1
    assert "error: rank 1 did not answer for 5 s (launch.timeout_s)" in output
    assert "Traceback" not in output
    assert ranks_of(run) == []


def test_a_killed_rank_is_named_and_ends_the_run(workplace: Path) -> None:
    run = start_and_wait_for_step(workplace, "rank-killed", 2, "train.epochs=1000")
    os.kill(ranks_of(run)[-1], signal.SIGKILL)
    output = run.communicate(timeout=10)[0]  # elastic gives the others 30 s to end by themselves: they must not take them
    assert run.returncode == 1
    assert "error: rank 1 was killed by SIGKILL" in output
