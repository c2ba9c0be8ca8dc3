"""What does Ray cost a training once it runs?

Two trainings by the preset quickstart, two ranks each: one under the launcher local, one under ray. Both are started, and then one at a
time goes on for some seconds while all processes of the other are stopped, so that both see the same machine. Compared are the steps that
were begun and ended within a block, each block with the two around it. On a machine that others use, time says how much of it each was
given; so CPU time is compared, too: what a step takes of the ranks, and what all other processes of a training take beside them.

    python -m benchmarks.orchestration.run --out benchmarks/orchestration/results/NAME.json
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import pairwise
from pathlib import Path

from benchmarks.common import environment, summary, write
from benchmarks.observers.run import cpu_seconds
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.records import Stage, Steps

START_S = 600
SETTLE_S = 0.5  # after one was stopped and the other goes on
RANKS = 2
LAUNCHERS = ("local", "ray")

Block = tuple[float, float]  # its beginning and its end, in seconds since 1970


class Contestant:
    """A training that can be stopped and go on."""

    def __init__(self, launcher: str, folder: Path, typed: list[str]) -> None:
        self.directory = RunDirectory(folder / "runs" / launcher)
        command = [sys.executable, "-m", "dist_alexnet", "train", "-c", "quickstart", "--launcher", launcher, "--name", launcher, *typed]
        self.driver = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        self.blocks: list[Block] = []
        self.beside: list[float] = []  # of each block: share of a core that other processes than the ranks took

    def wait_for_steps(self) -> None:
        """Until the first is done."""
        deadline = time.monotonic() + START_S
        while not any(isinstance(record, Stage) and record.doing == "training" for record in self.directory.records()):
            assert self.driver.poll() is None, self.directory
            assert time.monotonic() < deadline, self.directory
            time.sleep(0.2)

    def send(self, number: int) -> None:
        """To all of its processes."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def processes(self) -> list[int]:
        """Of its session: those of Ray have process groups of their own."""
        listed = subprocess.run(["ps", "-s", str(self.driver.pid), "-o", "pid="], capture_output=True, text=True, check=False).stdout
        return list(map(int, listed.split()))

    def goes_on(self, seconds: float) -> None:
        """For one block."""
        self.send(signal.SIGCONT)
        time.sleep(SETTLE_S)
        before, begun = self._cpu(), time.time()
        time.sleep(seconds)
        self.blocks.append((begun, time.time()))
        spent = sorted(now - before.get(pid, 0.0) for pid, now in self._cpu().items())
        self.beside.append(sum(spent[:-RANKS]) / seconds)
        self.send(signal.SIGSTOP)

    def _cpu(self) -> dict[int, float]:
        found = {}
        for pid in self.processes():
            with suppress(OSError):  # it has just ended
                found[pid] = cpu_seconds(pid)
        return found

    def of_blocks(self) -> Iterator[list[Steps]]:
        """The reports whose steps lie within each block. A step that was stopped lies in none."""
        reports = [record for record in self.directory.records() if isinstance(record, Steps)]
        for begun, ended in self.blocks:
            yield [each for each in reports if begun <= each.time - each.steps * each.step_seconds and each.time <= ended]

    def images_per_second(self) -> list[float]:
        """In each block."""
        return [sum(each.images for each in inside) / sum(each.steps * each.step_seconds for each in inside) for inside in self.of_blocks()]

    def cpu_ms_per_image(self) -> list[float]:
        """Of all ranks, in each block."""
        return [
            1e3 * sum(sum(each.cpu_seconds_by_rank) * each.steps for each in inside) / sum(each.images for each in inside)
            for inside in self.of_blocks()
        ]


def measure(folder: Path, typed: list[str], pairs: int, seconds: float) -> list[Contestant]:
    """Blocks of each launcher, in turn; `local` has one block more, at the end."""
    with ExitStack() as running:
        contestants = []
        for launcher in LAUNCHERS:
            contestants.append(Contestant(launcher, folder, typed))
            running.callback(contestants[-1].driver.wait)
            running.callback(contestants[-1].send, signal.SIGKILL)
            contestants[-1].wait_for_steps()
            contestants[-1].send(signal.SIGSTOP)
        local, ray = contestants
        for _ in range(pairs):
            local.goes_on(seconds)
            ray.goes_on(seconds)
        local.goes_on(seconds)
    return contestants


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=6.0, help="of a block")
    parser.add_argument("--threads", type=int, default=1, help="of a rank; the launchers would choose alike")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    before = environment()
    typed = ["--gpus", str(RANKS), "--device", "cpu", f"launch.threads={options.threads}"]
    typed += ["train.log_every=2", "train.epochs=1000", "train.validate_every=0", "launch.timeout_s=3600"]
    with tempfile.TemporaryDirectory(prefix="cost-", ignore_cleanup_errors=True) as folder:
        contestants = dict(zip(LAUNCHERS, measure(Path(folder), typed, options.pairs, options.seconds), strict=True))
        fast = {name: each.images_per_second() for name, each in contestants.items()}
        spent = {name: each.cpu_ms_per_image() for name, each in contestants.items()}
    # A block is compared with the mean of its neighbours, which takes out what changes slowly.
    ratios = [mine / (left + right) * 2 for mine, (left, right) in zip(fast["ray"], pairwise(fast["local"]), strict=True)]
    results = {
        "images_per_second": {name: summary(values) for name, values in fast.items()},
        "throughput_ratio": summary(ratios, 4),
        "cpu_ms_per_image": {name: summary(values, 3) for name, values in spent.items()},
        "cores_beside_ranks": {name: summary(each.beside, 4) for name, each in contestants.items()},
    }
    print(json.dumps(results, indent=1))
    write(
        {"environment": before, "seconds": options.seconds, "threads": options.threads, "ratios": ratios, "results": results}, options.out
    )


if __name__ == "__main__":
    main()
