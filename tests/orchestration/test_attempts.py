"""Runs in several attempts: what ends one, what the next one begins with, and what a person is told."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.records import Restarted, Steps
from tests.conftest import Command
from tests.orchestration.runs import begin, has_logged, left_of, ranks_of, wait_until


def test_who_sleeps_is_named_and_every_rank_leaves_its_stack(with_plug_ins: None, dist_alexnet: Command, workplace: Path) -> None:
    """Rank 1 sleeps before a step whose gradients the others wait for."""
    done = dist_alexnet("train", "-c", "tiny.yaml", "--name", "asleep", "--strategy", "sleepy", "--gpus", "3", "launch.timeout_s=6")
    assert done.returncode == 1
    error, detail = done.stderr.splitlines()[-3:-1]
    logs = workplace / "runs" / "asleep" / "logs"
    assert error.startswith(
        f"error: rank 1 did not answer for 6 s (launch.timeout_s): stopped, hung, or slower than that; see {logs}/rank_1"
    )
    assert (
        detail
        == f"       where each rank was: the stacks at the end of {logs}/rank_*.log; a rank without one was stopped, or lost its node"
    )
    stacks = [(logs / f"rank_{rank}.log").read_text().partition("Timeout (")[2] for rank in range(3)]
    assert all("most recent call first" in stack for stack in stacks)
    assert [rank for rank, stack in enumerate(stacks) if "faulty.py" in stack.split("most recent call first")[-1].splitlines()[1]] == [1]


def test_a_killed_rank_is_forgiven_and_costs_nothing_but_time(dist_alexnet: Command, workplace: Path) -> None:
    end = ("--max-steps", "30")
    run = begin(workplace, "forgiven", "--max-failures", "1", *end)
    folder = workplace / "runs" / "forgiven"
    wait_until(run, lambda: has_logged(folder, '"step": 4,'))
    os.kill(ranks_of(run)[-1], signal.SIGKILL)
    output = run.communicate(timeout=120)[0]
    assert run.returncode == 0, output
    assert "rank 1 was killed by SIGKILL; logs: " in output
    assert "(failure 1 of 1 that are forgiven)" in output
    assert left_of(run) == []
    records = list(RunDirectory(folder).records())
    restarts = [record for record in records if isinstance(record, Restarted)]
    assert [(record.ranks, record.next_ranks, record.failed) for record in restarts] == [(2, 2, True)]
    assert restarts[0].step == next(record.step for record in records if isinstance(record, Steps) and record.attempt == 1) - 1
    assert json.loads((folder / "summary.json").read_text())["restarts"] == 1
    undisturbed = dist_alexnet("train", "-c", "tiny.yaml", "--name", "undisturbed", "train.epochs=1000", *end)
    assert undisturbed.returncode == 0, undisturbed.stderr
    weights, same = (
        load_file(workplace / "runs" / name / "checkpoints/step-00000030/model.safetensors") for name in ("forgiven", "undisturbed")
    )
    assert all(torch.equal(weights[name], same[name]) for name in same)


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        (["--elastic", "2"], "--elastic 2: needs the fewest and the most ranks, as in --elastic 2:4"),
        (["--elastic", "4:2"], "--elastic 4:2: needs the fewest"),
        (["--elastic", "2:4", "--gpus", "2"], "--elastic 2:4 says how many ranks there are, and --gpus 2 does, too"),
        (["--elastic", "3:3", "--strategy", "hybrid"], "hybrid can use no number of ranks from 3 to 3: hybrid needs pairs of ranks"),
        (["launch.min_workers=0"], "launch.min_workers=0: must be 1 or more"),
        (["--max-failures", "-1"], "launch.max_failures=-1"),
    ],
)
def test_what_makes_no_sense_is_refused(typed: list[str], error: str, dist_alexnet: Command) -> None:
    done = dist_alexnet("train", "-c", "tiny.yaml", *typed)
    assert (done.returncode, f"error: {error}" in done.stderr) == (2, True), done.stderr
