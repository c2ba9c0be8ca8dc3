"""What does a checkpoint cost a training, written while it goes on and written while it waits?

The full network on two ranks of this machine's CPU. Blocks of a few steps without a checkpoint, with one that the steps wait for, and with
one that is written meanwhile follow each other in the same processes, because two trainings after one another differ by more. A block ends
when its checkpoint is complete, so what writing takes from the steps is in it.

    python -m benchmarks.checkpoints.run --out benchmarks/checkpoints/results/NAME.json
"""

import argparse
import json
import tempfile
import time
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from statistics import fmean

import torch.distributed as dist

from benchmarks.common import environment, summary, write
from dist_alexnet.checkpoints.publish import Kept
from dist_alexnet.checkpoints.saves import Save, Saves
from dist_alexnet.checkpoints.state import TrainingState
from dist_alexnet.config import Config, LaunchConfig, ModelConfig, StrategyConfig, TrainConfig
from dist_alexnet.launch.agreement import Agreement
from dist_alexnet.launch.rank import connect_strategy
from dist_alexnet.machine.allocator import keep_freed_memory
from dist_alexnet.parallel.world import World
from dist_alexnet.telemetry.environment import versions
from dist_alexnet.testing.ranks import TIMEOUT_S, run_on_ranks
from dist_alexnet.training.trainer import Trainer
from dist_alexnet.verify.testimony import generated_batches

RANKS, LR, EVERY = 2, 1e-6, 50  # steps between two checkpoints, of which the share is said
KINDS = ("none", "waiting", "meanwhile")
Blocks = dict[str, list[float]]


class Bench:
    """One rank's part."""

    def __init__(self, world: World, folder: Path, config: Config, steps: int) -> None:
        keep_freed_memory()
        strategy = connect_strategy(config, world)
        self.agreement, self.trainer, self.steps, self.number = Agreement(world, TIMEOUT_S), Trainer(strategy), steps, 0
        self.batches = list(islice(generated_batches(config, strategy), 2))
        self.saves = Saves(folder, strategy, self.trainer.network, self.trainer.optimizer, self.agreement, Kept(newest=1))
        self.config = config

    def block(self, kind: str) -> float:
        """Take some steps; returns the seconds of all of them, with what else there is to wait for."""
        dist.barrier()
        begun = time.perf_counter()
        for step in range(self.steps):
            self.trainer.step(self.batches[self.number % len(self.batches)], LR, self.number)
            self.number += 1
            if kind != "none" and step == 0:
                self.saves.begin(self._state(), copy=kind == "meanwhile")
                if kind == "waiting":
                    self.saves.wait()
            (written,) = self.agreement.sum(self.saves.written)  # as the loop does, though not a step late
            if self.saves.all_written(written):
                self.saves.agree()
        if failure := self.saves.wait():
            raise OSError(failure)
        dist.barrier()
        return time.perf_counter() - begun

    def _state(self) -> TrainingState:
        return TrainingState(self.number, 0, 0, self.trainer.optimizer.scalars(), {}, asdict(self.config), versions(), ["a"])


def measure(world: World, folder: Path, config: Config, steps: int, rounds: int) -> tuple[Blocks, dict[str, list[Save]]]:
    bench = Bench(world, folder, config, steps)
    for kind in KINDS:
        bench.block(kind)
    bench.saves.ended()
    blocks: Blocks = {kind: [] for kind in KINDS}
    saves: dict[str, list[Save]] = {kind: [] for kind in KINDS}
    for number in range(rounds):
        for kind in KINDS[:: -1 if number % 2 else 1]:
            blocks[kind].append(bench.block(kind))
            saves[kind] += [replace(save, state=None) for save in bench.saves.ended()]  # type: ignore[arg-type]
    return blocks, saves


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=6, help="of a block")
    parser.add_argument("--strategy", default="ddp")
    parser.add_argument("-b", "--batch", type=int, default=32)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="on the disk that is measured")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    before = environment()
    config = Config(
        model=ModelConfig(classes=1000),
        train=TrainConfig(global_batch=options.batch),
        strategy=StrategyConfig(options.strategy),
        launch=LaunchConfig(name="local", workers=RANKS, device="cpu", threads=1),
    )
    with tempfile.TemporaryDirectory(prefix="checkpoints-", dir=options.folder) as folder:
        blocks, saves = run_on_ranks(RANKS, measure, Path(folder), config, options.steps, options.rounds)[0]
    step = summary((seconds / options.steps for seconds in blocks["none"]), 3)
    results = {"step_seconds": step}
    for kind in KINDS[1:]:
        extra = [with_one - without for with_one, without in zip(blocks[kind], blocks["none"], strict=True)]
        results[kind] = {
            "extra_seconds_of_a_block": summary(extra, 3),
            f"share_every_{EVERY}_steps": summary((each / (EVERY * step["median"]) for each in extra), 4),
            "blocked_seconds": summary((save.blocked_seconds for save in saves[kind]), 3),
            "writing_seconds": summary((save.seconds for save in saves[kind]), 3),
            "megabytes": round(fmean(save.bytes for save in saves[kind]) / 1e6, 1),
        }
    print(json.dumps(results, indent=1))
    asked = {"strategy": options.strategy, "batch": options.batch, "ranks": RANKS, "steps": options.steps, "rounds": options.rounds}
    write({"environment": before, **asked, "blocks": blocks, "results": results}, options.out)


if __name__ == "__main__":
    main()
