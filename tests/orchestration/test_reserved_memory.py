"""What `explain` tells a person to reserve, against what the ranks of a run of the full network took. Resident memory, not time."""

import json
from pathlib import Path

import pytest

from tests.conftest import Command

FULL = ["-c", "alexnet_2012", "--device", "cpu"]
DATA = ["data.synth.classes=20", "data.synth.train=64", "data.synth.val=64"]
PARTS = {"libraries", "step", "images", "working", "validation_and_checkpoint", "copies"}
WITHIN = 0.2


@pytest.mark.parametrize(
    ("strategy", "ranks", "batch"),
    [
        ("single", 1, 32),
        *(
            pytest.param(strategy, 2, 64, marks=pytest.mark.slow)
            for strategy in ("ddp", "channel_split", "one_weird_trick", "fsdp", "pipeline")
        ),
        pytest.param("hybrid", 4, 64, marks=pytest.mark.slow),
        pytest.param("single", 1, 128, marks=pytest.mark.slow),
    ],
)
def test_a_run_takes_what_explain_says(strategy: str, ranks: int, batch: int, workplace: Path, dist_alexnet: Command) -> None:
    settings = [*FULL, "--strategy", strategy, "--gpus", str(ranks), "-b", str(batch)]
    explained = dist_alexnet("explain", *settings, "model.classes=20", "--json")
    groups = json.loads(explained.stdout)["groups"]
    name = f"memory-{strategy}-{batch}"
    trained = dist_alexnet(
        "train", *settings, *DATA, "--launcher", "local", "--max-steps", "3", "train.checkpoint_every=1", "--name", name, timeout_s=600
    )
    assert trained.returncode == 0, trained.stderr
    took = json.loads((workplace / "runs" / name / "summary.json").read_text())["peak_memory_bytes"]
    most = max(group["resident"]["total"] for group in groups)
    assert most == pytest.approx(took, rel=WITHIN)
    for group in groups:
        assert sum(group["resident"][part] for part in PARTS) == group["resident"]["total"]
        assert group["resident"]["step"] == group["memory"]["total"]


def test_on_a_gpu_nothing_is_said_that_was_not_measured(dist_alexnet: Command) -> None:
    explained = dist_alexnet("explain", "--device", "cuda", "--json")
    assert [group["resident"] for group in json.loads(explained.stdout)["groups"]] == [None]
