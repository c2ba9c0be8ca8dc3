"""In which types numbers are kept and computed: parameters, activations and gradients each have theirs, and exchanges (`Wire`).

Under bf16 products read a copy of each weight, which is made once after each update, however many microbatches read it. Sums inside
a product, normalisation, scores, loss, gradients of parameters and the update are in float32. Source: Micikevicius et al., Mixed Precision
Training, 2018 (master weights); bfloat16 has the range of float32, so no loss is scaled.
"""

from dataclasses import dataclass

import torch

from dist_alexnet.config import TrainConfig

DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class Precision:
    """Types of numbers of a network in training."""

    parameter: torch.dtype = torch.float32  # as they are kept, updated and written down; also of the scores and the loss
    activation: torch.dtype = torch.float32  # of maps, of what products read and give, and of the gradients of those

    @property
    def gradient(self) -> torch.dtype:
        """Of parameters: in it microbatches add up, and ranks."""
        return self.parameter

    @property
    def mixed(self) -> bool:
        """Products read copies of the parameters."""
        return self.activation != self.parameter


def precision_of(train: TrainConfig) -> Precision:
    """The types that a configuration asks for."""
    parameter = DTYPES[train.dtype]
    return Precision(parameter, torch.bfloat16 if train.precision == "bf16" else parameter)


def allow_tf32(train: TrainConfig) -> None:
    """Let CUDA round what products of float32 read to 10 bits of mantissa, or forbid it: cuDNN does so by itself. Of this process."""
    allowed = train.precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed
