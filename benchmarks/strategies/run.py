"""Which strategy trains AlexNet fastest on the CPU processes of one machine, and where does the time of each go?

The network of the paper at full size, one thread per rank, images drawn beforehand. Every round takes one step of every contestant, in
turn, all of which live in the same processes, so that whatever else the machine does falls on all of them; ratios are of the same round.

    python -m benchmarks.strategies.run --ranks 2 4 --batch 32 64 --out benchmarks/strategies/results/NAME.json
"""

import argparse
from pathlib import Path
from typing import Any

import torch.distributed as dist

from benchmarks.common import environment, summary, write
from dist_alexnet import registry
from dist_alexnet.config import Config, ModelConfig, StrategyConfig, TrainConfig, UsageError
from dist_alexnet.launch.rank import connect_strategy
from dist_alexnet.machine.allocator import keep_freed_memory
from dist_alexnet.parallel.world import World
from dist_alexnet.testing.ranks import run_on_ranks
from dist_alexnet.training.trainer import Trainer
from dist_alexnet.verify.testimony import generated_batches

CONTESTANTS: list[tuple[str, dict[str, Any]]] = [
    ("ddp", {}),
    ("ddp", {"gradient_wire": "bfloat16"}),
    ("ddp", {"shard_optimizer": True}),
    ("channel_split", {"overlap": False}),
    ("channel_split", {}),
    ("hybrid", {}),
    ("one_weird_trick", {"scheme": "a"}),
    ("one_weird_trick", {"scheme": "b"}),
    ("one_weird_trick", {"scheme": "c"}),
    ("fsdp", {}),
    ("pipeline", {}),
]


class Contestant:
    """A strategy with everything that a step needs."""

    def __init__(self, config: Config, world: World) -> None:
        self.strategy = connect_strategy(config, world)
        self.trainer = Trainer(self.strategy)
        self.batch = next(iter(generated_batches(config, self.strategy)))
        self.step = 0

    def measure(self) -> dict[str, float]:
        """Seconds of one step, of which phase, on this rank; of communication by what was waited for."""
        clock = self.strategy.clock
        self.strategy.traffic.clear()
        dist.barrier()
        clock.restart()
        self.trainer.step(self.batch, 0.01, self.step)
        clock.end_step()
        self.step += 1
        (took,) = clock.take()
        waited = {f"for {exchange.name}": seconds for exchange, seconds in took.exposed.items()}
        return {"step": sum(took.phases.values()), **took.phases, **waited}


def race(world: World, configs: list[Config], num_rounds: int) -> list[list[dict[str, float]]]:
    """Rounds of one step of each, after one that is not counted."""
    keep_freed_memory()
    contestants = [Contestant(config, world) for config in configs]
    rounds = []
    for number in range(-1, num_rounds):
        # Each round begins with another one: who comes after whom matters, by what the one before leaves in caches and free memory.
        order = [(number + i) % len(contestants) for i in range(len(contestants))]
        measured = {i: contestants[i].measure() for i in order}
        rounds.append([measured[i] for i in range(len(contestants))])
    return rounds[1:]


def compare(ranks: int, batch: int, num_rounds: int) -> list[dict[str, Any]]:
    """All contestants that serve this many ranks; DDP as it comes is what the others are compared with."""
    train = TrainConfig(global_batch=batch)
    configs = [Config(model=ModelConfig(classes=1000), train=train, strategy=StrategyConfig(name, dict(o))) for name, o in CONTESTANTS]
    configs = [config for config in configs if serves(config, ranks)]
    by_rank = run_on_ranks(ranks, race, configs, num_rounds)
    slowest = [[max(by_rank[r][n][i]["step"] for r in range(ranks)) for n in range(num_rounds)] for i in range(len(configs))]
    results = []
    for i, config in enumerate(configs):
        phases = by_rank[0][0][i]
        results.append(
            {
                "strategy": config.strategy.name,
                "options": config.strategy.options,
                "ranks": ranks,
                "global_batch": batch,
                "step_ms": summary([1e3 * seconds for seconds in slowest[i]], 3),
                "times_ddp": summary([ddp / mine for ddp, mine in zip(slowest[0], slowest[i], strict=True)], 3),
                "phase_ms": {
                    phase: summary([1e3 * by_rank[r][n][i][phase] for r in range(ranks) for n in range(num_rounds)], 3)["median"]
                    for phase in phases
                },
            }
        )
    return results


def serves(config: Config, ranks: int) -> bool:
    try:
        registry.load(registry.STRATEGIES, config.strategy.name)(config, World(0, ranks))
    except UsageError:
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--batch", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    before, results = {**environment(), "threads_per_rank": 1}, list[dict[str, Any]]()
    for ranks in arguments.ranks:
        for batch in arguments.batch:
            for result in (rows := compare(ranks, batch, arguments.rounds)):
                options = ",".join(f"{key}={value}" for key, value in result["options"].items())
                step, gain, waited = result["step_ms"], result["times_ddp"]["median"], result["phase_ms"]["communication"]
                print(
                    f"{ranks} ranks, batch {batch:3d}  {result['strategy']:16s}{options:24s} {step['median']:8.0f} ms "
                    f"({step['quartiles'][0]:.0f}-{step['quartiles'][1]:.0f})  {gain:5.2f} x ddp  exposed {waited:6.1f} ms",
                    flush=True,
                )
            results += rows
    content = {"environment": before, "rounds": arguments.rounds, "results": results}
    write(content, arguments.out)


if __name__ == "__main__":
    main()
