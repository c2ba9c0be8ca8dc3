"""Dropout whose mask is a function of what is masked, not of who computes it.

The mask of a unit depends on (seed, step, layer, row of the global batch, unit of the whole layer): a counter-based generator, so that any
rank can draw the part it needs and all parts together are the mask of the one-process run, bit for bit.

Letters: B rows, U units on this rank.
"""

import torch
from torch import Tensor

from dist_alexnet.philox import philox

WORD = 2**32


def keep_mask(*, seed: int, step: int, layer: int, rows: Tensor, units: slice, dropout: float) -> Tensor:
    """Which units survive: [B, U] booleans, each True with probability 1 - dropout.

    Args:
        seed: of the run; its low 64 bits count.
        step: of the optimizer.
        layer: index of the layer.
        rows: [B] int64, rows of the global batch; any order, gaps allowed.
        units: the units of the layer that this rank holds, as start and stop.
        dropout: probability that a unit is dropped.
    """
    first, last = units.start // 4, -(-units.stop // 4)  # one call of the generator serves four neighbouring units
    blocks = torch.arange(first, last, device=rows.device)
    words = philox((blocks[None, :], rows[:, None], step, layer), (seed % WORD, seed // WORD % WORD))
    drawn = torch.stack(words, dim=2).flatten(1)[:, units.start - 4 * first : units.stop - 4 * first]
    return drawn >= int(dropout * WORD)
