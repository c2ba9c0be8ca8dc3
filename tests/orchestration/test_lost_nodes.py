"""Nodes of a Ray cluster that are cut off, killed and restarted under a run. Minutes each."""

import json
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import torch

from cluster.testing.network import Node, Unavailable, network
from cluster.testing.ray_nodes import RayNodes
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.records import RunStarted
from tests.conftest import Command
from tests.orchestration.chaos import STEPS_PER_KILL, Progress, assert_undisturbed, kill_at_random_steps, kill_rank
from tests.orchestration.runs import wait_until as wait_until_in_time
from tests.orchestration.test_local_runs import tensors

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
LONG = ("-c", "tiny.yaml", "launch.threads=1", "train.epochs=1000", "train.keep_checkpoints=2")

wait_until = partial(wait_until_in_time, patience_s=900)  # attempts start one after another, each with Ray's processes


@contextmanager
def cluster(*slots: int) -> Iterator[RayNodes]:
    """A node for each number of slots; the first is the head."""
    try:
        with network(len(slots)) as nodes:
            ray = RayNodes(nodes, list(slots))
            ray.begin()
            yield ray
    except Unavailable as missing:
        pytest.skip(str(missing))


def test_the_world_shrinks_when_a_node_is_cut_off_and_grows_when_it_is_back(workplace: Path, dist_alexnet: Command) -> None:
    """In the middle of an epoch, and without a word: its link goes down. Compared with a run of fixed size, of as many steps."""
    folder = workplace / "runs" / "elastic"
    progress = Progress(folder)
    settings = [
        *LONG,
        "--strategy",
        "ddp",
        "train.dtype=float64",
        "train.validate_every=0",
        "train.checkpoint_every=20",
        "data.synth.train=960",
    ]
    with cluster(2, 2) as ray:
        lost = ray.nodes[1]
        run = ray.train(*settings, "--name", folder.name, "--elastic", "2:4", "launch.grow_after_s=1", cwd=workplace)
        wait_until(run, lambda: progress.look().step >= 30)
        assert progress.ranks == 4
        lost.cut_off()
        wait_until(run, lambda: progress.look().ranks == 2 and progress.done_here > 5)
        lost.give_back()
        wait_until(
            run, lambda: not lost.processes()
        )  # Ray has been told that it is dead, and the ranks that their run went on without them
        ray.join(lost)
        wait_until(run, lambda: progress.look().ranks == 4 and progress.done_here > 5)
        lost.send(run, signal.SIGINT)
        output = run.communicate()[0]
        assert run.returncode == 128 + signal.SIGINT, output
        assert ray.run_processes() == []
    summary = json.loads((folder / "summary.json").read_text())
    assert [(resize["from"], resize["to"]) for resize in summary["resizes"]] == [(4, 2), (2, 4)]
    steps = summary["steps"]
    assert summary["images"] == 16 * steps
    fixed = dist_alexnet("train", *settings, "--name", "fixed", "--gpus", "2", "--max-steps", str(steps), timeout_s=1200)
    assert fixed.returncode == 0, fixed.stderr
    mine = tensors(folder, f"step-{steps:08d}")
    for name, tensor in tensors(workplace / "runs" / "fixed", f"step-{steps:08d}").items():
        torch.testing.assert_close(mine[name], tensor, rtol=1e-4, atol=1e-9, msg=name)


def test_a_run_waits_for_a_head_node_that_is_restarted(workplace: Path, dist_alexnet: Command) -> None:
    """Its machine loses power and comes back; the driver is on the other one, whose Ray ends and is started again, too."""
    end = ("--max-steps", "60")
    calm = dist_alexnet("train", *LONG, *end, "--name", "head-stays")
    assert calm.returncode == 0, calm.stderr
    folder = workplace / "runs" / "head-restarts"
    progress = Progress(folder)
    with cluster(1, 1) as ray:
        other = ray.nodes[1]
        run = ray.train(*LONG, *end, "--name", folder.name, "--max-failures", "1", "--wait", "600", cwd=workplace, driver=other)
        wait_until(run, lambda: progress.look().step >= 8)
        ray.head.cut_off()
        ray.head.end()
        ray.head.begin()
        wait_until(run, lambda: ray.running[other].poll() is not None)
        ray.begin()
        output = run.communicate()[0]
        assert run.returncode == 0, output
        assert "(failure 1 of 1 that are forgiven)" in output
    assert_undisturbed(folder, workplace / "runs" / "head-stays", 60)


@pytest.mark.parametrize("kills", [6, 30])
def test_killed_nodes_and_ranks(workplace: Path, dist_alexnet: Command, kills: int) -> None:
    """By turns a rank, rank 0, and a node that holds a pair, which comes back. The head has no slots."""
    seed, steps = random.randrange(10**6), STEPS_PER_KILL * (kills + 1)
    chance, end = random.Random(seed), ("--max-steps", str(steps), "--strategy", "hybrid", "--gpus", "4")
    calm = dist_alexnet("train", *LONG, *end, "--name", f"calm-pairs-{kills}", timeout_s=1200)
    assert calm.returncode == 0, calm.stderr
    folder = workplace / "runs" / f"pairs-{kills}-kills-{seed}"
    with cluster(0, 2, 2) as ray:
        run = ray.train(*LONG, *end, "--name", folder.name, "--max-failures", str(kills), "--wait", "600", cwd=workplace)

        def kill_node() -> None:
            restart(ray, chance.choice(ray.nodes[1:]))

        def kill_some(rank: int) -> None:
            kill_rank(lambda: [pid for node in ray.nodes for pid in node.processes()], folder, rank)

        by_turns = [lambda: kill_some(chance.randrange(4)), lambda: kill_some(0), kill_node]
        deeds = [by_turns[number % 3] for number in range(kills)]
        chance.shuffle(deeds)
        kill_at_random_steps(run, folder, steps, deeds, chance)
        output = run.communicate()[0]
        assert run.returncode == 0, output
        assert ray.run_processes() == []
    assert_undisturbed(folder, workplace / "runs" / f"calm-pairs-{kills}", steps)
    for record in RunDirectory(folder).records():
        if isinstance(record, RunStarted):
            assert record.nodes[0] == record.nodes[1] != record.nodes[2] == record.nodes[3], "a pair is on one node"
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["restarts"], summary["images"]) == (kills, 16 * steps)


def restart(ray: RayNodes, node: Node) -> None:
    """It loses power, without a word to the others, and comes back."""
    node.cut_off()
    node.end()
    node.begin()
    ray.join(node)
