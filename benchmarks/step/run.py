"""How fast is a training step of one process: ours against torchvision's AlexNet and the net of 2012 from torch's own modules.

Every round has each contestant take one step, in turn, so that whatever else the machine does falls on all of them; ratios are of the same
round. A step is forward, loss, backward and update of the full network on images that are there already. Memory that is freed is kept for
the next step, as in ranks of `train`: in one process everybody has that.

    python -m benchmarks.step.run --out benchmarks/step/results/NAME.json
"""

import argparse
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.common import environment, summary, write
from dist_alexnet.batch import Batch
from dist_alexnet.config import Config, LaunchConfig, ModelConfig, StrategyConfig, TrainConfig
from dist_alexnet.launch.rank import connect_strategy
from dist_alexnet.machine.allocator import keep_freed_memory
from dist_alexnet.parallel.world import World
from dist_alexnet.training.trainer import Trainer

CLASSES = 1000
SIDE = 224
LR, MOMENTUM, DECAY = 0.01, 0.9, 5e-4  # of everybody
SEED = 1

Step = Callable[[], Tensor]  # takes one; gives the loss


@dataclass(frozen=True)
class Contestant:
    """Somebody's way to take a step. Other libraries' have theirs in a plain loop, as their users write it."""

    name: str
    bf16: bool
    prepare: Callable[[int], Step]  # for this many images

    @property
    def precision(self) -> str:
        """As `train.precision` has it."""
        return "bf16" if self.bf16 else "fp32"


def drawn(batch: int, layout: torch.memory_format) -> tuple[Tensor, Tensor]:
    """The same images [batch, 3, 224, 224] and labels for everybody."""
    generator = torch.Generator().manual_seed(SEED)
    images = torch.randn(batch, 3, SIDE, SIDE, generator=generator).contiguous(memory_format=layout)
    return images, torch.randint(CLASSES, (batch,), generator=generator)


def ours(precision: str) -> Callable[[int], Step]:
    """The 2012 net, LRN and dropout included, as `train` runs it under `single`."""

    def prepare(batch: int) -> Step:
        train = TrainConfig(global_batch=batch, precision=precision, lr=LR, momentum=MOMENTUM, weight_decay=DECAY)  # type: ignore[arg-type]
        config = Config(
            model=ModelConfig(classes=CLASSES), train=train, strategy=StrategyConfig("single"), launch=LaunchConfig(device="cpu", workers=1)
        )
        trainer, numbers = Trainer(connect_strategy(config, World())), itertools.count()
        images, labels = drawn(batch, torch.channels_last)
        rows = Batch(images, labels, torch.arange(batch), batch)
        return lambda: trainer.step(rows, LR, next(numbers))

    return prepare


def plain(
    model: Callable[[], nn.Module], layout: torch.memory_format, *, fused: bool, bf16: bool = False, compiled: bool = False
) -> Callable[[int], Step]:
    """A loop around a model: `fused` update or torch's default one, autocast to bfloat16 or not, compiled or not."""

    def prepare(batch: int) -> Step:
        net: Any = model().to(memory_format=layout).train()  # type: ignore[call-overload]
        optimizer = torch.optim.SGD(net.parameters(), LR, MOMENTUM, weight_decay=DECAY, fused=fused or None)
        images, labels = drawn(batch, layout)
        forward = torch.compile(net) if compiled else net

        def step() -> Tensor:
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext():
                loss = functional.cross_entropy(forward(images), labels)
            loss.backward()
            optimizer.step()
            return loss.detach()

        return step

    return prepare


def torchvisions() -> nn.Module:
    """61,100,840 parameters and 4.14 GFLOP an image and step, as many as the net of 2012 has; no LRN, no groups."""
    return torchvision.models.alexnet(num_classes=CLASSES)


def stock_2012() -> nn.Module:
    """The net of 2012 from torch's own modules, as a reader of the paper would write it."""
    lrn = {"size": 5, "alpha": 5e-4, "beta": 0.75, "k": 2.0}  # torch divides alpha by the size
    return nn.Sequential(
        nn.Conv2d(3, 96, 11, 4, 2), nn.ReLU(), nn.LocalResponseNorm(**lrn), nn.MaxPool2d(3, 2),
        nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(), nn.LocalResponseNorm(**lrn), nn.MaxPool2d(3, 2),
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Flatten(),
        nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, CLASSES),
    )  # fmt: skip


NCHW, NHWC = torch.contiguous_format, torch.channels_last
CONTESTANTS = [
    Contestant("ours", False, ours("fp32")),
    Contestant("ours", True, ours("bf16")),
    Contestant("torchvision, default flags", False, plain(torchvisions, NCHW, fused=False)),
    Contestant("torchvision, channels-last, fused SGD", False, plain(torchvisions, NHWC, fused=True)),
    Contestant("torchvision, channels-last, fused SGD", True, plain(torchvisions, NHWC, fused=True, bf16=True)),
    Contestant("torchvision, compiled", False, plain(torchvisions, NHWC, fused=True, compiled=True)),
    Contestant("torchvision, compiled", True, plain(torchvisions, NHWC, fused=True, bf16=True, compiled=True)),
    Contestant("2012 from stock modules", False, plain(stock_2012, NCHW, fused=False)),
]


def rounds(steps: list[Step], count: int) -> Iterator[list[float]]:
    """Seconds of everybody's step, round by round; the first to go is another in each."""
    for number in range(count):
        seconds = [0.0] * len(steps)
        for turn in range(len(steps)):
            each = (number + turn) % len(steps)
            start = time.perf_counter()
            steps[each]()
            seconds[each] = time.perf_counter() - start
        yield seconds


def compare(contestants: list[Contestant], batch: int, num_rounds: int, warmup: int) -> list[dict[str, Any]]:
    """What each took, and how many times the images per second of each other one of its precision ours has; of the naive one in both."""
    steps = [contestant.prepare(batch) for contestant in contestants]
    for _ in range(warmup):
        losses = [float(step()) for step in steps]
    taken = list(rounds(steps, num_rounds))
    rows = []
    for index, contestant in enumerate(contestants):
        row: dict[str, Any] = {
            "name": contestant.name,
            "precision": contestant.precision,
            "loss_after_warmup": round(losses[index], 4),
            "step_ms": summary([each[index] * 1e3 for each in taken], 1),
            "images_per_second": round(batch / summary([each[index] for each in taken], 6)["median"], 1),
        }
        for mine, us in enumerate(contestants):
            if us.name == "ours" and us is not contestant:
                row[f"times_its_speed_of_ours_in_{us.precision}"] = summary([each[index] / each[mine] for each in taken], 3)
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-b", "--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--no-compile", action="store_true", help="leave out what torch.compile takes part in")
    parser.add_argument("--only", help="contestants whose name begins so; ours is always there")
    parser.add_argument("--out", type=Path, help="JSON file")
    arguments = parser.parse_args()
    before = environment()
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(SEED)
    taking_part = [
        contestant
        for contestant in CONTESTANTS
        if not (arguments.no_compile and "compiled" in contestant.name)
        and (contestant.name == "ours" or contestant.name.startswith(arguments.only or ""))
    ]
    result: dict[str, Any] = {
        "question": "milliseconds of a whole training step of one process, and of how many of its steps ours takes one",
        "batch": arguments.batch,
        "threads": arguments.threads,
        "rounds": arguments.rounds,
        "contestants": compare(taking_part, arguments.batch, arguments.rounds, arguments.warmup),
        **before,
    }
    for row in result["contestants"]:
        print(row)
    write(result, arguments.out)


if __name__ == "__main__":
    main()
