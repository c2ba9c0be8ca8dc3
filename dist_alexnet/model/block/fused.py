"""ReLU, LRN and max-pool as one differentiable op for float32, and for bfloat16 with float32 inside, on the CPU.

LRN by stock operators is half of a training step on a CPU. The maps are larger than any cache, so what counts is how often they are
read and written: this op reads its input once forward and once backward, and keeps nothing between them but the input and one byte
per output. Numbers: benchmarks/fused_block.

Importing this module imports numba, and the first call compiles the kernels of a type (or loads them from the cache on disk).
"""

from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dist_alexnet.machine.cores import available_cores
from dist_alexnet.model.block.kernels import kernels
from dist_alexnet.model.operations.normalization import LRN_K, check_towers
from dist_alexnet.model.operations.pooling import pooled_size

NUMBERS = {torch.float32: "float32", torch.bfloat16: "uint16"}  # type of a map -> as numpy has it


def fused_relu_lrn_pool(x: Tensor, towers: int, alpha: float | None) -> Tensor:
    """`plain_relu_lrn_pool` in one pass over memory; the same bits on every run and for every number of threads.

    Uses as many threads as `torch.get_num_threads()` says at the call, forward and backward, split over images.

    Args:
        x: [B, C, H, W], float32 or bfloat16 on the CPU, H and W of 2 or more. Copied if its memory is not channels-last.
        towers: number of channel groups that LRN keeps apart.
        alpha: of the raw sum in LRN, or None for no LRN.

    Returns:
        [B, C, pooled_size(H), pooled_size(W)] in channels-last memory.

    Raises:
        ValueError: another dtype or device, too small a map, or C not a multiple of `towers`.
    """
    check_towers(x, towers)
    if x.device.type != "cpu" or x.dtype not in NUMBERS:
        raise ValueError(f"the fused op needs float32 or bfloat16 on the CPU, got {x.dtype} on {x.device}; use plain_relu_lrn_pool")
    if min(x.shape[2:]) < 2:
        raise ValueError(f"pooling 3x3 with stride 2 needs maps of 2x2 or more, got {x.shape[2]}x{x.shape[3]}")
    result: Tensor = _FusedBlock.apply(x, towers, alpha)
    return result


class _FusedBlock(torch.autograd.Function):
    """Forward: pooled maximum and its position (0 to 8) in the window. Backward: recomputes the denominators from x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, towers: int, alpha: float | None) -> Tensor:
        images = _channels_last(x)
        count, height, width, channels = images.shape
        pooled = torch.empty(count, pooled_size(height), pooled_size(width), channels, dtype=x.dtype)
        position = torch.empty(pooled.shape, dtype=torch.uint8)
        _launch(kernels(NUMBERS[x.dtype])[0], towers, alpha, images, pooled, position)
        ctx.save_for_backward(images, position)
        ctx.towers, ctx.alpha = towers, alpha
        return pooled.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_pooled: Tensor) -> tuple[Tensor, None, None]:
        images, position = ctx.saved_tensors
        # By numpy, which asks the kernel for huge pages: the page faults of 74 MB of new memory cost as much as all the arithmetic here
        # (conv1's block on one thread: 58 ms with torch.empty, 36 ms so; 2026-11, torch 2.14.1).
        number = NUMBERS[images.dtype]
        grad = torch.from_numpy(np.empty(images.shape, number)).view(images.dtype)
        _launch(kernels(number)[1], ctx.towers, ctx.alpha, images, position, _channels_last(grad_pooled), grad)
        return grad.permute(0, 3, 1, 2), None, None


def _channels_last(x: Tensor) -> Tensor:
    """[B, C, H, W] -> [B, H, W, C], contiguous; no copy if x is in channels-last memory."""
    return x.detach().permute(0, 2, 3, 1).contiguous()


def _launch(kernel: Any, towers: int, alpha: float | None, *arrays: Tensor) -> None:
    """Run a kernel over all images, which are cut into as many pieces as there are threads; this one takes the first."""
    images = len(arrays[0])
    pieces = max(1, min(torch.get_num_threads(), available_cores(), images))
    run = partial(kernel, towers, alpha is not None, np.float32(alpha or 0), np.float32(LRN_K))
    own, *others = zip(*(np.array_split(_as_numpy(array), pieces) for array in arrays), strict=True)
    waiting = [_helpers().submit(run, *piece) for piece in others]
    run(*own)
    for each in waiting:
        each.result()


def _as_numpy(tensor: Tensor) -> Any:
    """The same memory; numpy has no bfloat16."""
    return (tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor).numpy()


@cache
def _helpers() -> ThreadPoolExecutor:
    """Threads of our own. numba's come from OpenMP and set the number of threads of torch as well, to all cores of the machine.

    From then on every operator of a rank ran on all of them, and its barriers spun: a third to a half of all forward passes of two ranks on
    two cores took three to four times as long (2026-11, numba 0.68). numba's other pools end the process where two threads launch at once.
    """
    return ThreadPoolExecutor(available_cores(), thread_name_prefix="fused")
