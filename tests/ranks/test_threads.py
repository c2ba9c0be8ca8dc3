"""A rank uses the threads that it was given and no more, whatever library brings threads of its own. Run as a script by its test."""

import json
import os
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

WARM_UP, STEPS = 3, 9
OTHERS = ("[DALI]", "gloo", "pt_gloo", "pt_tcpstore")  # decode and talk beside the network: data.threads is a setting of its own
TICKS = os.sysconf("SC_CLK_TCK")


def compute_seconds() -> dict[int, float]:
    """CPU seconds of this process by thread, without those that decode, crop or talk."""
    python = {thread.native_id for thread in threading.enumerate()} - {threading.get_native_id()}  # crops
    seconds = {}
    for task in map(int, os.listdir("/proc/self/task")):
        try:
            name, _, numbers = Path(f"/proc/self/task/{task}/stat").read_text().partition("(")[2].rpartition(") ")
        except OSError:  # it has ended
            continue
        if task not in python and not name.startswith(OTHERS):
            seconds[task] = sum(map(int, numbers.split()[11:13])) / TICKS
    return seconds


def watched(job):
    """Train, and write down what this rank's process looks like after some steps."""
    import pyarrow
    import torch

    from dist_alexnet.training import loop
    from dist_alexnet.training.worker import train_rank

    after_step, begun = loop.Training._after_step, []

    def watching(self, lr):
        if self.progress.step == WARM_UP:
            begun.append((time.perf_counter(), compute_seconds()))
        if self.progress.step == STEPS:
            wall, before = time.perf_counter() - begun[0][0], begun[0][1]
            busy = {task: seconds - before.get(task, 0) for task, seconds in compute_seconds().items()}
            report = {
                "torch": torch.get_num_threads(),
                "arrow": pyarrow.cpu_count(),
                "environment": {name: value for name, value in os.environ.items() if name.endswith("_NUM_THREADS")},
                "busy_beside_its_own": sum(seconds for task, seconds in busy.items() if task != threading.get_native_id()),
                "cpu_over_wall": sum(busy.values()) / wall,
            }
            (self.job.directory.path / f"threads_{self.strategy.world.rank}.json").write_text(json.dumps(report))
        after_step(self, lr)

    loop.Training._after_step = watching
    train_rank(job)


def main(launcher: str, threads: str) -> None:
    from test_threads import watched  # by the name that other processes know it by

    from dist_alexnet.launch.driver.driver import execute
    from dist_alexnet.training.prepare import Request, prepare

    # Large enough that operators would be spread over threads; every step reads photographs.
    settings = ["data.synth.train=64", "data.synth.val=8", f"train.epochs={STEPS}", "train.validate_every=0", "launch.device=cpu"]
    settings += [f"launch.name={launcher}", f"launch.threads={threads}"]
    prepared = prepare(Request("quickstart", settings, Path("runs"), "watched"))
    execute(partial(watched, prepared.job), prepared.job.directory, prepared.launcher, print)


@pytest.mark.parametrize(("launcher", "threads"), [("local", 1), pytest.param("ray", 2, marks=pytest.mark.slow)])
def test_a_rank_keeps_to_its_threads(tmp_path: Path, launcher: str, threads: int) -> None:
    here = str(Path(__file__).parent)  # where Ray's workers find the function
    environment = {**os.environ, "PYTHONPATH": here, "OMP_NUM_THREADS": "7"}  # of the shell; the setting is what counts
    run = subprocess.run([sys.executable, __file__, launcher, str(threads)], cwd=tmp_path, env=environment, timeout=200, check=False)
    assert run.returncode == 0
    for rank in range(2):
        found = json.loads((tmp_path / "runs" / "watched" / f"threads_{rank}.json").read_text())
        assert (found["torch"], found["arrow"]) == (threads, threads)
        assert set(found["environment"].values()) == {str(threads)}
        assert found["cpu_over_wall"] <= threads * 1.05
        if threads == 1:
            assert found["busy_beside_its_own"] == 0


if __name__ == "__main__":
    main(*sys.argv[1:])
