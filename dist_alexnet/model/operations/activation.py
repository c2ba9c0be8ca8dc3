"""Activations: functions of one number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dist_alexnet.model.operations.contract import Kept, Operation, Part, Place

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Relu(Operation):
    """max(0, x). Krizhevsky et al. 2012, section 3.1."""

    name: ClassVar[str] = "ReLU"

    def apply(self, x: Tensor, place: Place) -> Tensor:
        """Of any shape."""
        from torch.nn import functional

        return functional.relu(x)

    def kept(self, part: Part) -> Kept:
        """The result, whose zeros are where the gradient is 0."""
        return Kept(gives=True)


@dataclass(frozen=True)
class LeakyRelu(Operation):
    """x where it is positive, slope * x elsewhere. Maas, Hannun, Ng 2013."""

    name: ClassVar[str] = "leaky ReLU"
    slope: float = 0.01

    def apply(self, x: Tensor, place: Place) -> Tensor:
        """Of any shape."""
        from torch.nn import functional

        return functional.leaky_relu(x, self.slope)

    def kept(self, part: Part) -> Kept:
        """What it reads: with a negative slope the result would not tell the sign."""
        return Kept(reads=True)
