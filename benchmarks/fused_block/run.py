"""What does fusing ReLU, LRN and max-pool save on a CPU: the fused op against torch's operators, forward and backward.

Every round times all contestants once, in turn, so that whatever else the machine does falls on all of them; ratios are of the same round.

    python -m benchmarks.fused_block.run --out benchmarks/fused_block/results/NAME.json
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.common import environment, summary, write
from dist_alexnet.model.block.fused import fused_relu_lrn_pool
from dist_alexnet.model.block.plain import plain_relu_lrn_pool

BLOCKS = {"conv1": (96, 55), "conv2": (256, 27)}  # channels and side of what the block reads, in the network of the paper
TOWERS, ALPHA = 2, 1e-4

Op = Callable[[Tensor, int, float | None], Tensor]
CONTESTANTS: dict[str, tuple[Op, torch.memory_format]] = {
    "plain, NCHW": (plain_relu_lrn_pool, torch.contiguous_format),
    "plain, channels-last": (plain_relu_lrn_pool, torch.channels_last),
    "fused": (fused_relu_lrn_pool, torch.channels_last),
}


def measure(op: Op, x: Tensor) -> tuple[float, float]:
    """Milliseconds of one forward and backward pass, by the clock and of CPU time, after one that is not counted.

    Without that one, an op pays for what the contestant before it left: free memory in small pages, threads that still wait actively.
    """
    forward_backward(op, x)
    wall, cpu = time.perf_counter(), time.process_time()
    forward_backward(op, x)
    return (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3


def forward_backward(op: Op, x: Tensor) -> None:
    """As in training: the gradient from above has the layout of the output, and nothing is accumulated into a leaf."""
    pooled = op(x, TOWERS, ALPHA)
    torch.autograd.grad(pooled, x, torch.ones_like(pooled))


def compare(block: str, batch: int, threads: int, num_rounds: int) -> dict[str, Any]:
    """All contestants on one block."""
    torch.set_num_threads(threads)
    channels, side = BLOCKS[block]
    x = torch.randn(batch, channels, side, side, generator=torch.Generator().manual_seed(0))
    inputs = {name: x.contiguous(memory_format=layout).requires_grad_() for name, (_, layout) in CONTESTANTS.items()}
    rounds = [{name: measure(op, inputs[name]) for name, (op, _) in CONTESTANTS.items()} for _ in range(num_rounds)]
    return {
        "block": block,
        "batch": batch,
        "threads": threads,
        "wall_ms": {name: summary([each[name][0] for each in rounds]) for name in CONTESTANTS},
        "cpu_ms": {name: summary([each[name][1] for each in rounds]) for name in CONTESTANTS},
        "times_fused": {name: summary([each[name][0] / each["fused"][0] for each in rounds]) for name in CONTESTANTS if name != "fused"},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=Path, help="JSON file")
    arguments = parser.parse_args()
    before = environment()
    cases = [(block, batch, threads) for batch in arguments.batches for threads in arguments.threads for block in BLOCKS]
    result: dict[str, Any] = {
        "question": "milliseconds of ReLU, LRN (2 towers) and 3x3/2 max-pool, forward and backward, float32 on a CPU",
        "rounds": arguments.rounds,
        "cases": [compare(*case, arguments.rounds) for case in cases],
        **before,
    }
    for case in result["cases"]:
        print(case)
    write(result, arguments.out)


if __name__ == "__main__":
    main()
