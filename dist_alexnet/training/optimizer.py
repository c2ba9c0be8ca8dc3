"""The update rule of 2012, on torch's fused SGD.

The paper (section 5) keeps the learning rate inside the velocity:  v <- m v - lr (g + d w),  w <- w + v.
torch keeps it outside:                                             u <- m' u + (g + d w),    w <- w - lr u.
With v = -lr u both are the same but for the step on which the rate changes; there m' = m * lr_before / lr makes them the same again. So the
fused kernel does all the work (21 ms for 61 M parameters on a core, 155 ms unfused), and the velocity needs no pass of its own.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dist_alexnet.config import TrainConfig


class VelocitySGD(torch.optim.SGD):
    """v <- momentum v - lr (gradient + decay w), w <- w + v; biases at `bias_lr_factor` times the rate and without decay."""

    def __init__(self, network: nn.Module, config: TrainConfig) -> None:
        """Optimise the parameters that this rank holds."""
        self.names = {p: name for name, p in network.named_parameters()}
        weights = [p for p, name in self.names.items() if not name.endswith("bias")]
        biases = [p for p, name in self.names.items() if name.endswith("bias")]
        groups = [
            {"params": weights, "factor": 1.0, "weight_decay": config.weight_decay},
            {"params": biases, "factor": config.bias_lr_factor, "weight_decay": 0.0},
        ]
        super().__init__([group for group in groups if group["params"]], lr=config.lr, momentum=config.momentum, fused=True)
        self.velocity_momentum = config.momentum
        self.last_lr: float | None = None  # of the step before; None before the first

    def step_at(self, lr: float) -> None:
        """One update at this learning rate, which must be positive: a rate of 0 has no velocity in torch's form."""
        if lr <= 0:
            raise ValueError(f"learning rate {lr}: must be positive")
        change = (self.last_lr or lr) / lr
        for group in self.param_groups:
            group["lr"], group["momentum"] = lr * group["factor"], self.velocity_momentum * change
        self.step()
        self.last_lr = lr

    def buffers(self) -> dict[str, Tensor]:
        """Parameter name -> momentum buffer u, in the parameter's shape; zeros before the first step."""
        if self.velocity_momentum == 0:
            return {}
        for parameter in self.names:
            state: dict[str, Any] = self.state[parameter]
            if state.get("momentum_buffer") is None:
                state["momentum_buffer"] = torch.zeros_like(parameter)
        return {name: self.state[parameter]["momentum_buffer"] for parameter, name in self.names.items()}

    def scalars(self) -> dict[str, float | None]:
        """What a checkpoint needs besides the buffers."""
        return {"last_lr": self.last_lr}

    def load_scalars(self, scalars: Mapping[str, float | None]) -> None:
        """Take back what `scalars` gave."""
        self.last_lr = scalars["last_lr"]
