"""What an update rule says about itself before PyTorch is imported, and what it may ask of a strategy.

A rule keeps states of each parameter, of the parameter's shape, each under a name. Checkpoints and the prediction of memory ask for the
names. A state lies where the strategy's `momentum` says, and in a checkpoint in `optimizer/NAME.safetensors`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dist_alexnet.config import TrainConfig

if TYPE_CHECKING:
    from torch import Tensor

STATES = ("momentum",)  # of the rule of 2012: all that it may keep

# Parameter name -> numbers about the rows that a rank updates, summed into the same numbers about the whole tensor. Every rank calls it,
# as often as all others. A strategy hands it to a rule that needs the norm of a whole weight: `WholeSums` of `parallel/whole_sums.py`.
Sums = Callable[[Mapping[str, "Tensor"]], Mapping[str, "Tensor"]]


def kept_states(train: Mapping[str, Any]) -> tuple[str, ...]:
    """Those of `STATES` that a run keeps, from the settings of its section `train`; one that is not there has its default."""
    return STATES if train.get("momentum", TrainConfig.momentum) != 0 else ()
