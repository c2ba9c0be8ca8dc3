"""What the ranks of a run tell each other besides gradients and activations: a few numbers, over gloo, on the host."""

import json
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from dist_alexnet.json_text import to_exact_json
from dist_alexnet.launch import watchdog
from dist_alexnet.parallel.world import World


class Agreement:
    """Makes every rank take the same decision at the same step."""

    def __init__(self, world: World, timeout_s: float) -> None:
        """Every rank makes one, at the same time. A rank that waits longer than `timeout_s` for the others fails."""
        self._world, self._timeout_s = world, timeout_s
        self.alive()
        timeout = timedelta(seconds=timeout_s)  # a new group does not have that of the default group, but torch's 30 minutes
        self._group: Any = dist.new_group(backend="gloo", timeout=timeout) if world.world_size > 1 else None

    def sum(self, *values: float) -> list[float]:
        """Element-wise sum over the ranks, in float64."""
        total: list[float] = self.sum_tensor(torch.tensor(values, dtype=torch.float64)).tolist()
        return total

    def sum_tensor(self, tensor: Tensor) -> Tensor:
        """Element-wise sum over the ranks of a tensor on the host, in its own type; its shape is the same on all of them."""
        total = tensor.clone()
        if self._world.world_size > 1:
            dist.all_reduce(total, group=self._group)
            self.alive()
        return total

    def start(self, total: Tensor) -> Any:
        """Start to add up a tensor on the host over the ranks, in place; returns what to wait for, None in a world of one."""
        return dist.all_reduce(total, group=self._group, async_op=True) if self._world.world_size > 1 else None

    def alive(self) -> None:
        """All ranks have answered: whoever waits for a sum that was started says so when it is there."""
        if self._world.world_size > 1:
            watchdog.alive(self._timeout_s)

    def gather(self, value: Any) -> list[Any]:
        """Every rank's value, by rank, as it comes out of JSON.

        Not by torch's `all_gather_object`, which unpickles: whoever reaches the socket of a rank could run code there.
        """
        text = torch.frombuffer(bytearray(to_exact_json(value).encode()), dtype=torch.uint8)
        sizes = [int(size) for size in self._all_gather(torch.tensor([len(text)]))]
        padded = torch.zeros(max(sizes), dtype=torch.uint8)
        padded[: len(text)] = text
        texts = zip(self._all_gather(padded), sizes, strict=True)
        return [json.loads(bytes(other[:size].tolist())) for other, size in texts]

    def _all_gather(self, tensor: Tensor) -> list[Tensor]:
        """Of each rank, a tensor of one shape."""
        if self._world.world_size == 1:
            return [tensor]
        tensors = [torch.empty_like(tensor) for _ in range(self._world.world_size)]
        dist.all_gather(tensors, tensor, group=self._group)
        return tensors
