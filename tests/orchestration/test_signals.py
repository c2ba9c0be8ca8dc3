"""Signals x launchers x moments: a run that is told to stop saves, says so, and leaves nothing."""

import json
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest

from dist_alexnet.machine.signals import LEFT_TO_DRIVER
from tests.orchestration.runs import begin, has_logged, heard_from_afar, left_of, wait_until

# What to set, for there to be such a moment, and how it is seen.
MOMENTS: dict[str, tuple[list[str], Callable[[Path], object]]] = {
    "starting": ([], lambda run: (run / "logs" / "rank_0.log").exists()),
    "step": (["train.checkpoint_every=1000"], lambda run: has_logged(run, '"step": 4,')),
    "validation": (["data.synth.val=3000", "train.validate_every=0.1"], lambda run: has_logged(run, '"kind": "train"')),
    "checkpoint": (["train.checkpoint_every=1"], lambda run: list(run.glob("checkpoints/.*"))),
}
SENT_TO = {"driver": os.kill, "group": os.killpg}
QUICK = {
    ("SIGINT", "local", "step", "group"),
    ("SIGTERM", "local", "starting", "group"),
    ("SIGHUP", "local", "validation", "driver"),
    ("SIGXCPU", "local", "checkpoint", "group"),
    ("SIGTERM", "ray", "step", "group"),
}
TABLE = product(sorted(number.name for number in LEFT_TO_DRIVER), ("local", "ray"), MOMENTS, SENT_TO)
ROWS = [pytest.param(*row, marks=() if row in QUICK else pytest.mark.slow, id="-".join(row)) for row in TABLE]
LEFT = {".lock", "checkpoints", "config.yaml", "env.json", "logs", "metrics.jsonl", "summary.json"}


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Where a run has its temporary files. Not tmp_path: it is too long for Ray's sockets."""
    with tempfile.TemporaryDirectory(prefix="t-") as folder:
        yield Path(folder)


@pytest.mark.parametrize(("name", "launcher", "moment", "sent_to"), ROWS)
def test_the_first_signal_leaves_a_checkpoint_and_nothing_else(
    name: str, launcher: str, moment: str, sent_to: str, workplace: Path, temporary: Path
) -> None:
    number, (settings, happened) = signal.Signals[name], MOMENTS[moment]
    folder = workplace / "runs" / f"{name}-{launcher}-{moment}-{sent_to}"
    run = begin(workplace, folder.name, "--launcher", launcher, *settings, temporary=temporary)
    wait_until(run, lambda: happened(folder))
    if moment == "step":  # all of its sockets are open
        assert heard_from_afar(run) == []
    SENT_TO[sent_to](run.pid, number)
    output = run.communicate(timeout=90)[0]
    assert run.returncode == 128 + number, output
    assert "stopping after this step, with a checkpoint" in output
    assert "Traceback" not in output
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["status"] == "stopped"
    assert (folder / "checkpoints" / f"step-{summary['steps']:08d}" / "state.json").exists()
    assert left_of(run) == []
    assert {path.name for path in folder.iterdir()} == LEFT
    assert [path.name for path in temporary.iterdir() if not path.name.startswith("torchinductor_")] == []  # torch keeps that as a cache
