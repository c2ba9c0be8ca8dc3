"""Runs whose ranks are killed at random moments, while checkpoints are written, too, end as if nothing had happened."""

import json
import random
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.orchestration.chaos import STEPS_PER_KILL, assert_undisturbed, kill_at_random_steps, kill_rank, of_session
from tests.orchestration.runs import begin, has_logged, left_of, wait_until
from tests.orchestration.test_sudden_ends import leftovers


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Not tmp_path: it is too long for Ray's sockets."""
    with tempfile.TemporaryDirectory(prefix="t-") as folder:
        yield Path(folder)


@pytest.mark.parametrize(
    ("launcher", "kills"),
    [
        pytest.param("local", 3, marks=pytest.mark.timeout(600)),
        pytest.param("local", 30, marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
    ],
)
def test_killed_ranks(workplace: Path, dist_alexnet: Command, temporary: Path, launcher: str, kills: int) -> None:
    """Half of the kills hit rank 0. The moments are other ones each time; the name of the run says the seed that chose them."""
    seed, steps = random.randrange(10**6), STEPS_PER_KILL * (kills + 1)
    chance, end = random.Random(seed), ("--max-steps", str(steps), "train.keep_checkpoints=2")
    calm = dist_alexnet("train", "-c", "tiny.yaml", "--name", f"calm-{kills}", "train.epochs=1000", *end)
    assert calm.returncode == 0, calm.stderr
    folder = workplace / "runs" / f"{launcher}-{kills}-kills-{seed}"
    run = begin(workplace, folder.name, "--launcher", launcher, "--max-failures", str(kills), *end, temporary=temporary)
    deeds = [partial(kill_rank, partial(of_session, run), folder, chance.randrange(2)) for _ in range(kills)]
    kill_at_random_steps(run, folder, steps, deeds, chance)
    output = run.communicate(timeout=240)[0]
    assert run.returncode == 0, output
    assert_undisturbed(folder, workplace / "runs" / f"calm-{kills}", steps)
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["restarts"], summary["steps"], summary["images"]) == (kills, steps, 16 * steps)
    assert left_of(run) == []
    assert leftovers(folder, temporary) == []


@pytest.mark.slow
def test_two_runs_at_once_on_one_machine(workplace: Path, dist_alexnet: Command, temporary: Path) -> None:
    """One under a Ray of its own. Neither knows of the other; a third that would write where the first does is refused."""
    end = ("--max-steps", "60")
    runs = {
        launcher: begin(workplace, f"both-{launcher}", "--launcher", launcher, *end, temporary=temporary) for launcher in ("local", "ray")
    }
    wait_until(runs["local"], lambda: has_logged(workplace / "runs" / "both-local", '"kind": "start"'))
    third = dist_alexnet("train", "--name", "both-local", "--resume", "auto")
    for run in runs.values():
        output = run.communicate(timeout=240)[0]
        assert run.returncode == 0, output
    assert third.returncode == 2
    assert "another process is training in " in third.stderr
    assert_undisturbed(workplace / "runs" / "both-ray", workplace / "runs" / "both-local", 60)
